// Elements from data: everything that is shown goes through textContent or an attribute.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else node.setAttribute(name, String(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

/** An HTML element; children may be nodes, text, lists of them, or null. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Puts new children in the place of the old ones. */
export function refill(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

/** Text of a node, written only where it is another one. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A table with a caption that screen readers tell. */
export function table(caption, heads, rows, attributes = {}) {
  const head = heads.map((one) =>
    h("th", { scope: "col", class: one.class }, one.hidden ? h("span", { class: "hidden" }, one.text) : one.text ?? one),
  );
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      attributes,
      h("caption", { class: "hidden" }, caption),
      h("thead", null, h("tr", null, head)),
      h("tbody", null, rows),
    ),
  );
}
