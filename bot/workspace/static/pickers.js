// Select menus: a button with a list that can be filtered by typing.
import { h, uid } from "./dom.js";
import { decode, renderPlain } from "./mrkdwn.js";

const person = (user) => ({ key: user.id, label: `@${user.display_name || user.real_name || user.name}`, raw: user.id });
const place = (channel) => ({ key: channel.id, label: channel.is_im ? channel.name : `#${channel.name}`, raw: channel.id });
const offered = (option) => ({ key: option.value, label: decode(option.text.text), description: option.description?.text, raw: option });

/** The options of a select element, and how its value is read and written. */
export function choices(element, ctx) {
  const multiple = element.type.startsWith("multi_");
  const kind = element.type.replace(/^multi_/, "");
  const fields = {
    static_select: ["selected_option", offered, () => groups(element)],
    external_select: ["selected_option", offered, () => []],
    users_select: ["selected_user", (id) => person(ctx.users.get(id) ?? { id, name: id }), () => [{ options: [...ctx.users.values()].filter((u) => !u.is_bot).map(person) }]],
    conversations_select: ["selected_conversation", (id) => place(ctx.channels.get(id) ?? { id, name: id }), () => [{ options: [...ctx.channels.values()].map(place) }]],
    channels_select: ["selected_channel", (id) => place(ctx.channels.get(id) ?? { id, name: id }), () => [{ options: [...ctx.channels.values()].filter((c) => !c.is_im && !c.is_private).map(place) }]],
  };
  const [field, one, options] = fields[kind];
  const name = multiple ? `${field}s` : field;
  return {
    options,
    search: kind === "external_select" && ctx.onOptions ? async (query) => (await ctx.onOptions(element, query)).map(offered) : null,
    read: (value) => (multiple ? value[name] ?? [] : value[name] ? [value[name]] : []).map(one),
    write: (chosen) => ({ [name]: multiple ? chosen.map((c) => c.raw) : chosen[0]?.raw ?? null }),
  };
}

function groups(element) {
  if (element.option_groups) return element.option_groups.map((group) => ({ label: group.label.text, options: group.options.map(offered) }));
  return [{ options: (element.options ?? []).map(offered) }];
}

/** An accessible select: closed it shows what is chosen, open it filters as one types. */
export function combobox({ label, placeholder, multiple, max, options, search, selected, focus, onchange }) {
  let chosen = [...selected];
  let shown = [];
  let active = 0;
  const listId = uid("list");
  const text = h("span", { class: "select-text" });
  const toggle = h("button", { type: "button", class: "bk-select", "aria-haspopup": "listbox", "aria-expanded": "false" }, text, h("span", { class: "select-arrow", "aria-hidden": "true" }, "▾"));
  if (label) toggle.setAttribute("aria-labelledby", `${label} ${(text.id = uid("chosen"))}`);
  else toggle.setAttribute("aria-label", placeholder);
  if (focus) toggle.dataset.autofocus = "true";
  const filter = h("input", { type: "text", class: "select-filter", role: "combobox", "aria-label": placeholder, "aria-controls": listId, "aria-expanded": "true", autocomplete: "off" });
  const list = h("div", { id: listId, class: "select-list", role: "listbox", "aria-multiselectable": multiple ? "true" : null });
  const popup = h("div", { class: "popup select-popup", hidden: true }, filter, list);
  const box = h("span", { class: "popup-anchor" }, toggle, popup);

  const showChosen = () => {
    text.textContent = chosen.length ? chosen.map((c) => c.label).join(", ") : placeholder;
    text.classList.toggle("select-empty", !chosen.length);
  };
  const close = () => { popup.hidden = true; toggle.setAttribute("aria-expanded", "false"); };
  const choose = (option) => {
    const before = chosen;
    if (!multiple) chosen = [option];
    else if (chosen.some((c) => c.key === option.key)) chosen = chosen.filter((c) => c.key !== option.key);
    else if (!max || chosen.length < max) chosen = [...chosen, option];
    showChosen();
    if (!multiple) { close(); toggle.focus(); } else draw();
    onchange(chosen, () => { chosen = before; showChosen(); });
  };
  const draw = async () => {
    const query = filter.value.trim().toLowerCase();
    const found = search ? [{ options: await search(filter.value) }] : options();
    list.replaceChildren();
    shown = [];
    for (const group of found) {
      const fitting = group.options.filter((o) => search || o.label.toLowerCase().includes(query));
      if (group.label && fitting.length) list.append(h("div", { class: "select-group" }, renderPlain(group.label)));
      for (const option of fitting) {
        const picked = chosen.some((c) => c.key === option.key);
        const row = h("div", { id: uid("opt"), role: "option", class: "select-option", "aria-selected": String(picked), "data-value": option.key, onmousedown: (event) => event.preventDefault(), onclick: () => choose(option) },
          h("span", {}, renderPlain(option.label)), option.description ? h("span", { class: "bk-option-description" }, renderPlain(option.description)) : null);
        list.append(row);
        shown.push([option, row]);
      }
    }
    if (!shown.length) list.append(h("div", { class: "select-none" }, "Nothing found"));
    active = Math.min(active, Math.max(0, shown.length - 1));
    mark();
  };
  const mark = () => {
    shown.forEach(([, row], at) => row.classList.toggle("active", at === active));
    const row = shown[active]?.[1];
    if (row) { filter.setAttribute("aria-activedescendant", row.id); row.scrollIntoView({ block: "nearest" }); }
  };
  const open = () => { popup.hidden = false; toggle.setAttribute("aria-expanded", "true"); filter.value = ""; active = 0; draw(); filter.focus(); };

  toggle.addEventListener("click", () => (popup.hidden ? open() : close()));
  toggle.addEventListener("keydown", (event) => { if (event.key === "ArrowDown") { event.preventDefault(); open(); } });
  filter.addEventListener("input", () => { active = 0; draw(); });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      active = (active + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % Math.max(1, shown.length);
      mark();
    } else if (event.key === "Enter") { event.preventDefault(); if (shown[active]) choose(shown[active][0]); }
    else if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); close(); toggle.focus(); }
  });
  box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget)) close(); });
  showChosen();
  return box;
}
