/**
 * Markup as strings: values are escaped, and a part of the page is drawn anew only when its markup changes, so that
 * elements stay the same while nothing happens to them. `data-do` names what a press does.
 */
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text) => String(text).replace(/[&<>"]/g, (character) => ESCAPES[character]);

class Markup {
  constructor(text) {
    this.text = text;
  }
}

const part = (value) => {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(part).join("");
  return value === null || value === undefined ? "" : escaped(value);
};

export const html = (literals, ...values) =>
  new Markup(literals.reduce((text, literal, i) => text + part(values[i - 1]) + literal));

/** Draws into the holder; ids and class names go through `replica.generated`. */
export function draw(holder, markup, replica) {
  const generated = (_, attribute, names) => {
    const other = names.split(" ").filter(Boolean).map(replica.generated);
    return `${attribute}="${other.join(" ")}"`;
  };
  const text = part(markup).replace(/(?<=\s)(id|class)="([^"]*)"/g, generated);
  if (holder.drawn === text) return;
  holder.drawn = text;
  holder.innerHTML = text;
}

/** Carries out what a pressed element names. */
export function obey(actions) {
  document.addEventListener("click", ({ target }) => {
    const element = target.closest("[data-do]");
    if (!element || element.disabled || element.getAttribute("aria-disabled") === "true") return;
    const [name, detail] = element.dataset.do.split(":");
    actions[name](detail, element);
  });
}
