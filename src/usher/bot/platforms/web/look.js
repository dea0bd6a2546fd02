/**
 * One look at the page. Takes what `driver.py` makes of the platform's knowledge, and changes nothing on the page.
 * Returns { matched, walls, obstacles, people, chat }: names of the signs that hold with what they were told by.
 */
(facts) => {
  const { plain, read, people } = (__PEOPLE__)(facts.people);
  const key = (text) => plain(text).toLowerCase();
  const visible = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const silent = facts.silent.join(",");
  const isSilent = (element) => silent !== "" && element.closest(silent) !== null;

  /** What an element says: visible words, without those that people wrote or said. */
  function wordsOf(element) {
    const parts = [];
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { parentElement, data } = walker.currentNode;
      if (!data.trim() || !parentElement || parentElement.closest("script,style,noscript,template")) continue;
      if (visible(parentElement) && !isSilent(parentElement)) parts.push(data);
    }
    return parts.join(" ");
  }

  /** Everything that the page itself says, or what it says inside of some elements. */
  function words(selectors) {
    if (selectors.length > 0) return key([...document.querySelectorAll(selectors.join(","))].map(wordsOf).join(" "));
    const title = document.querySelector("title");
    const heading = title && !isSilent(title) ? document.title : "";
    return key(`${heading} ${wordsOf(document.body ?? document.documentElement)}`);
  }

  const said = words([]);
  function isLarge(element, [width, height]) {
    const box = element.getBoundingClientRect();
    return box.width >= width && box.height >= height;
  }
  const shown = (selector, smallest = [0, 0], among = () => true) =>
    [...document.querySelectorAll(selector)].some(
      (element) => visible(element) && isLarge(element, smallest) && among(element),
    );

  /** Whether the page is at a host, or below an address: "example.com", "*.example.com/signin". */
  function isHere(address) {
    const [name, ...path] = address.split("/");
    const below = name.startsWith("*.") ? location.hostname.endsWith(name.slice(1)) : location.hostname === name;
    return below && `${location.pathname}/`.startsWith(`/${path.map((part) => `${part}/`).join("")}`);
  }

  /** What shows that the sign holds, or null. */
  function told(sign) {
    if (sign.unless.some((selector) => shown(selector))) return null;
    const host = sign.hosts.find(isHere);
    if (host) return host;
    const where = sign.within.length > 0 && sign.words.length > 0 ? words(sign.within) : said;
    const word = sign.words.find((text) => where.includes(key(text)));
    if (word) return word;
    const found = sign.css.filter((selector) => shown(selector, sign.smallest, (element) => !isSilent(element)));
    return found.length >= sign.at_least && found.length > 0 ? found[0] : null;
  }

  /** The newest lines; one without an id of the page is told from its like by how often it was said before. */
  function chat() {
    const { line, line_id: idAttribute, sender, own, text } = facts.chat;
    const times = new Map();
    let last = "";
    const lines = [...document.querySelectorAll(line)].map((element) => {
      const said = { sender: read(element, sender), text: read(element, text) };
      const same = JSON.stringify([said.sender, said.text]);
      times.set(same, (times.get(same) ?? 0) + 1);
      // Of several lines of one sender, pages often name them at the first.
      last = own.some((selector) => element.closest(selector)) ? "You" : said.sender || last;
      const id = (idAttribute && element.getAttribute(idAttribute)) || `${times.get(same)} ${same}`;
      return { ...said, id, sender: last };
    });
    return lines.slice(-facts.most_lines);
  }

  const named = (signs) => Object.fromEntries(Object.entries(signs).map(([name, sign]) => [name, told(sign)]));
  return {
    matched: named(facts.signs),
    walls: facts.walls.map(told),
    obstacles: facts.obstacles.map(told),
    people: people(facts.most_people),
    chat: facts.chat ? chat() : [],
  };
}
