/**
 * Reads who is on the page: the same for one look at it and for the watch of speaking signs.
 * Takes `People` of the platform's knowledge; returns { plain, read, people }. Changes nothing on the page.
 */
(facts) => {
  const plain = (text) => (text ?? "").replace(/[’‘ʼ]/g, "'").replace(/[\s\u00a0]+/g, " ").trim();
  const key = (text) => plain(text).toLowerCase();

  function read(element, ways) {
    for (const { css, attribute, pattern, within } of ways) {
      const around = within ? element.closest(within) : element;
      const place = css ? around?.querySelector(css) : around;
      const text = plain(attribute ? place?.getAttribute(attribute) : place?.textContent);
      const part = pattern ? plain(text.match(new RegExp(pattern))?.[1]) : text;
      if (part) return part;
    }
    return "";
  }

  const marks = (element, selectors) =>
    selectors.some((selector) => element.matches(selector) || element.querySelector(selector) !== null);

  function person(tile) {
    const { person_id: idAttribute, own_words: ownWords, own_names: ownNames, own_label: label, own, speaks } = facts;
    let name = read(tile, facts.name);
    const marked = label.length > 0 ? read(tile, label) : name;
    const ending = ownWords.find((text) => key(marked).endsWith(key(text)));
    if (ending && label.length === 0) name = name.slice(0, name.length - plain(ending).length).trim();
    const isOwn = Boolean(ending) || ownNames.some((text) => key(name) === key(text)) || marks(tile, own);
    const id = idAttribute ? tile.getAttribute(idAttribute) : null;
    return { id: id || name, name, own: isOwn, speaks: marks(tile, speaks) };
  }

  /** Everybody once: pages show some people in several places. */
  function people(most) {
    const selector = facts.tile.find((candidate) => document.querySelector(candidate) !== null);
    const known = new Map();
    for (const seen of selector ? [...document.querySelectorAll(selector)].map(person) : []) {
      if (!seen.name) continue;
      const before = known.get(seen.id);
      known.set(seen.id, before ? { ...before, own: before.own || seen.own, speaks: before.speaks || seen.speaks } : seen);
    }
    return [...known.values()].slice(0, most);
  }

  return { plain, read, people };
}
