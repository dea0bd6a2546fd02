/**
 * Gives everybody in Zoom's page an id that stays through a renaming, as an attribute of rows and tiles: the page has none.
 *
 * A person is told by the name. A renaming is one name for another in a list that is complete before and after; a list
 * that is longer than the panel shows some of its rows only, and there a new name is somebody new.
 * Source of rows, tiles and the count: see knowledge.toml.
 */
(() => {
  const ATTRIBUTE = "data-usher-person";
  const ROW = ".participants-li";
  const ROW_NAME = ".participants-item__display-name";
  const TILE = ".video-avatar__avatar";
  const TILE_NAME = ".video-avatar__avatar-footer";
  const COUNT = ".panel-shell-header__header";
  const MOST = 2000;

  const known = new Map();
  let wasComplete = false;
  let count = 0;

  const nameIn = (element, selector) => element.querySelector(selector)?.textContent.replace(/\s+/g, " ").trim() ?? "";

  /** Rows and tiles with their names. */
  function shown() {
    const named = (selector, name) => [...document.querySelectorAll(selector)].map((element) => [element, nameIn(element, name)]);
    return { rows: named(ROW, ROW_NAME), tiles: named(TILE, TILE_NAME) };
  }

  function isComplete(rows) {
    const told = [...document.querySelectorAll(COUNT)].map(({ textContent }) => textContent.match(/\((\d+)\)/)?.[1]);
    return rows.length > 0 && told.includes(String(rows.length));
  }

  /** Takes note of who came, who went, and who goes under another name. */
  function learn(rows, tiles) {
    const complete = isComplete(rows);
    const names = new Set([...rows, ...(complete ? [] : tiles)].map(([, name]) => name).filter(Boolean));
    const come = [...names].filter((name) => !known.has(name));
    const gone = complete ? [...known.keys()].filter((name) => !names.has(name)) : [];
    if (wasComplete && complete && come.length === 1 && gone.length === 1) known.set(come[0], known.get(gone[0]));
    else for (const name of come) known.set(name, `z${++count}`);
    for (const name of gone) known.delete(name);
    for (const name of [...known.keys()].slice(0, Math.max(0, known.size - MOST))) known.delete(name);
    wasComplete = complete;
  }

  function mark() {
    const { rows, tiles } = shown();
    if (rows.length + tiles.length === 0) return;
    learn(rows, tiles);
    for (const [element, name] of [...rows, ...tiles]) {
      const id = known.get(name);
      if (id === undefined) element.removeAttribute(ATTRIBUTE);
      else if (element.getAttribute(ATTRIBUTE) !== id) element.setAttribute(ATTRIBUTE, id);
    }
  }

  new MutationObserver(mark).observe(document, { subtree: true, childList: true, characterData: true });
})();
