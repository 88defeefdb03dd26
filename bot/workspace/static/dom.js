// Small helpers to make elements without ever parsing text as HTML.

/** An element with attributes, listeners (`onclick`), dataset entries (`data-x`) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string" && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** Add children: nodes, strings, lists of them; nothing for null and false. */
export function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return parent;
}

let counter = 0;

/** An id no other element has. */
export function uid(prefix = "id") {
  counter += 1;
  return `${prefix}-${counter}`;
}

/** Initials on the person's colour. */
export function avatar(user, size = 36) {
  const box = h("span", { class: "avatar", "aria-hidden": "true" }, user?.initials ?? "?");
  box.style.setProperty("--size", `${size}px`);
  box.style.background = user?.color?.startsWith("#") ? user.color : `#${user?.color ?? "777777"}`;
  return box;
}

/** Time of day in a time zone. */
export function clock(seconds, tz) {
  return new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: tz }).format(seconds * 1000);
}

/** The day in a time zone, as people say it. */
export function day(seconds, tz, now) {
  const format = (at) => new Intl.DateTimeFormat("en-CA", { timeZone: tz }).format(at * 1000);
  if (format(seconds) === format(now)) return "Today";
  if (format(seconds) === format(now - 86400)) return "Yesterday";
  return new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", timeZone: tz }).format(seconds * 1000);
}

/** Where an image is: on the web, or a file of the workspace by its address or id. */
export function sourceOf(image) {
  const file = image.slack_file;
  return image.image_url ?? file?.url ?? (file?.id ? `/files/${encodeURIComponent(file.id)}/image` : undefined);
}
