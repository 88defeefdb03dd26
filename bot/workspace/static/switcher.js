// Ctrl K: jump to a channel or a person by typing a part of the name.
import { h } from "./dom.js";
import { nameOf, store } from "./store.js";

/** Ask where to; `openChannel(id)` and `openDirect(userId)` go there. */
export function quickSwitch({ openChannel, openDirect }) {
  if (document.querySelector("dialog.quick")) return;
  const input = h("input", { class: "bk-input", placeholder: "Channel or person", "aria-label": "Jump to" });
  const list = h("div", { class: "quick-list" });
  const close = () => { dialog.close(); dialog.remove(); };
  const places = () => [
    ...[...store.channels.values()].filter((one) => !one.is_im).map((one) => ({ name: one.name, sign: one.is_private ? "🔒" : "#", go: () => openChannel(one.id) })),
    ...[...store.users.values()].filter((one) => one.id !== store.me.id).map((one) => ({ name: one.real_name || nameOf(one), sign: "@", go: () => openDirect(one.id) })),
  ];
  const draw = () => {
    const query = input.value.toLowerCase().replace(/^[#@]/, "");
    const found = places().filter((one) => one.name.toLowerCase().includes(query)).slice(0, 10);
    list.replaceChildren(...found.map((one) => h("button", { type: "button", class: "popup-item", onclick: () => { close(); one.go(); } }, `${one.sign} ${one.name}`)));
    if (!found.length) list.replaceChildren(h("p", { class: "dim" }, "Nothing found"));
  };
  const dialog = h("dialog", { class: "confirm quick", "aria-label": "Jump to a channel" }, input, list);
  input.addEventListener("input", draw);
  dialog.addEventListener("keydown", (event) => {
    const rows = [input, ...list.querySelectorAll("button")];
    const at = rows.indexOf(document.activeElement);
    if (event.key === "Enter" && at === 0) { event.preventDefault(); rows[1]?.click(); }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); rows.at((at + step) % rows.length).focus(); }
  });
  dialog.addEventListener("cancel", close);
  document.body.append(dialog);
  dialog.showModal();
  draw();
}
