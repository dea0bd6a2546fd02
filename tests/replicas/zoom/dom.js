/** Elements with the platform's class names and ids, which are other ones when the look is bare. */
export function maker(replica) {
  const generated = (names) => names.split(" ").filter(Boolean).map(replica.generated).join(" ");

  return function h(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") Object.entries(value).forEach(([event, listener]) => element.addEventListener(event, listener));
      else if (name === "class" || name === "id" || name === "for") element.setAttribute(name, generated(value));
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  };
}

/** A field like React's: it knows what was typed by keys, and nothing of a value that was set. */
export function typed(field, changed) {
  let keyed = false;
  field.addEventListener("keydown", ({ isTrusted }) => (keyed ||= isTrusted));
  field.addEventListener("input", ({ isTrusted }) => {
    if (!isTrusted || !keyed) return;
    keyed = false;
    changed(field.value ?? field.textContent);
  });
  return field;
}

/** Replaces what stands in `holder`, unless it stands there already. */
export function hold(holder, key, make) {
  if (holder.key === key) return;
  holder.key = key;
  const made = make();
  holder.replaceChildren(...(Array.isArray(made) ? made : [made]).filter(Boolean));
}
