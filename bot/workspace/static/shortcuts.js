// Shortcuts: apps' actions, on a message and anywhere.
import { post } from "./api.js";
import { h } from "./dom.js";
import { store } from "./store.js";
import { toast } from "./toasts.js";

/** The shortcuts of all apps of one type, `global` or `message`. */
export function shortcutsOf(type) {
  return store.apps.flatMap((app) => app.shortcuts.filter((one) => one.type === type).map((one) => ({ ...one, app: app.name })));
}

/** A button with a menu that is filled when it is opened: `entries()` gives its shortcuts, `place()` where they act. */
export function shortcutMenu({ label, sign, className, type, place }) {
  const toggle = h("button", { type: "button", class: className, "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": label, title: label, onclick: () => (panel.hidden ? open() : close()) }, sign);
  const panel = h("div", { class: "popup shortcut-menu", role: "menu", "aria-label": label, hidden: true });
  const box = h("span", { class: "popup-anchor" }, toggle, panel);
  const items = () => [...panel.querySelectorAll("[role=menuitem]")];
  const close = () => { panel.hidden = true; box.classList.remove("open"); toggle.setAttribute("aria-expanded", "false"); };
  const choose = async (one) => {
    close();
    toggle.focus({ preventScroll: true });
    const answer = await post("/client/shortcut", { user: store.me.id, callback_id: one.callback_id, ...place() });
    if (!answer.ok) toast({ title: one.app, body: answer.message ?? "This app did not respond." });
  };
  const open = () => {
    const found = shortcutsOf(type);
    panel.replaceChildren(...(found.length
      ? found.map((one) => h("button", { type: "button", role: "menuitem", class: "popup-item shortcut", title: one.description, onclick: () => choose(one) },
        h("span", { class: "shortcut-name" }, one.name), h("span", { class: "dim" }, one.app)))
      : [h("div", { class: "dim menu-title" }, "No app here has one")]));
    panel.hidden = false;
    box.classList.add("open");
    // Downwards where there is room above the end of the page, else upwards.
    panel.classList.toggle("up", toggle.getBoundingClientRect().bottom + panel.offsetHeight + 8 > innerHeight);
    toggle.setAttribute("aria-expanded", "true");
    items()[0]?.focus({ preventScroll: true });
  };
  box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget)) close(); });
  box.addEventListener("keydown", (event) => {
    if (panel.hidden) return;
    const all = items();
    const here = all.indexOf(document.activeElement);
    const step = { ArrowDown: here + 1, ArrowUp: here + all.length - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape") { event.stopPropagation(); close(); toggle.focus(); }
    if (step === undefined || !all.length) return;
    event.preventDefault();
    all[step % all.length].focus();
  });
  return box;
}
