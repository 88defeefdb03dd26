// Menus: a select's list that can be filtered by typing, and the overflow menu.
import { post } from "./api.js";
import { avatar, h, uid } from "./dom.js";
import { decode, renderPlain } from "./mrkdwn.js";

const person = (user) => ({ key: user.id, label: user.display_name || user.real_name || user.name, raw: user.id, user });
const place = (channel) => ({ key: channel.id, label: channel.is_im ? channel.name : `#${channel.name}`, raw: channel.id });
const offered = (option) => ({ key: option.value, label: decode(option.text?.text), description: option.description?.text, raw: option });
const known = (map, id) => map?.get?.(id) ?? { id, name: id };

/** The options of a select element, and how its value is read and written. */
export function choices(element, ctx, ask) {
  const multiple = element.type.startsWith("multi_");
  const kind = element.type.replace(/^multi_/, "");
  const places = (fits) => [{ options: [...(ctx.channels?.values() ?? [])].filter(fits).map(place) }];
  const fields = {
    static_select: ["selected_option", offered, () => groups(element)],
    external_select: ["selected_option", offered, () => []],
    users_select: ["selected_user", (id) => person(known(ctx.users, id)), () => [{ options: [...(ctx.users?.values() ?? [])].filter((user) => !user.is_bot).map(person) }]],
    conversations_select: ["selected_conversation", (id) => place(known(ctx.channels, id)), () => places(fitting(element.filter, ctx))],
    channels_select: ["selected_channel", (id) => place(known(ctx.channels, id)), () => places((channel) => !channel.is_im && !channel.is_private)],
  };
  const [field, one, options] = fields[kind];
  const name = multiple ? `${field}s` : field;
  return {
    multiple,
    options,
    search: kind === "external_select" ? async (query) => (await ask(query)).map(offered) : null,
    read: (value) => (multiple ? value[name] ?? [] : value[name] ? [value[name]] : []).map(one),
    write: (chosen) => ({ [name]: multiple ? chosen.map((c) => c.raw) : chosen[0]?.raw ?? null }),
  };
}

/** Which conversations a select's filter lets through. */
function fitting(filter, ctx) {
  const kind = (channel) => (channel.is_im ? "im" : channel.is_private ? "private" : "public");
  return (channel) => (!filter?.include || filter.include.includes(kind(channel)))
    && !(filter?.exclude_bot_users && channel.is_im && ctx.users?.get(channel.user)?.is_bot);
}

function groups(element) {
  if (element.option_groups) return element.option_groups.map((group) => ({ label: group.label?.text, options: group.options.map(offered) }));
  return [{ options: (element.options ?? []).map(offered) }];
}

/** Ask the app for an external select's options. */
export async function askOptions(ctx, block, element, query, state) {
  if (ctx.onOptions) return ctx.onOptions(element, query);
  const [channel, ts] = ctx.key.split(/:(.*)/s);
  const container = channel === "view" ? { view_id: ts } : { channel, ts };
  const answer = await post("/client/options", { user: ctx.me, container, block_id: block.block_id, action_id: element.action_id, query, state });
  return answer.ok ? answer.options : [];
}

/** A panel that floats by its button, above whatever would clip it. */
function floating(toggle, panel) {
  panel.setAttribute("popover", "manual");
  const where = () => {
    const at = toggle.getBoundingClientRect();
    panel.style.minWidth = `${at.width}px`;
    const { offsetWidth: width, offsetHeight: height } = panel;
    const below = innerHeight - at.bottom - 8;
    const up = below < height && at.top - 8 > below;
    panel.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
    panel.style.top = `${up ? Math.max(8, at.top - height - 4) : at.bottom + 4}px`;
  };
  const moved = (event) => { if (!panel.contains(event.target)) where(); };
  const isOpen = () => panel.matches(":popover-open");
  const close = () => {
    removeEventListener("scroll", moved, true);
    removeEventListener("resize", moved);
    if (isOpen()) panel.hidePopover();
    toggle.setAttribute("aria-expanded", "false");
  };
  const open = () => {
    if (isOpen()) return;
    panel.showPopover();
    toggle.setAttribute("aria-expanded", "true");
    where();
    addEventListener("scroll", moved, true);
    addEventListener("resize", moved);
  };
  // Clicking between the entries must not take the focus out of the panel.
  panel.addEventListener("mousedown", (event) => { if (!event.target.closest("input, button")) event.preventDefault(); });
  const box = h("span", { class: "popup-anchor" }, toggle, panel);
  box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget)) close(); });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !isOpen()) return;
    event.preventDefault();
    event.stopPropagation();
    close();
    toggle.focus();
  });
  return { box, open, close, isOpen, where };
}

/** The "⋯" button with its menu. */
export function menu({ label, options, onchoose }) {
  const toggle = h("button", { type: "button", class: "bk-button bk-overflow-button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": label }, "⋯");
  const items = options.map((option) => h("button", { type: "button", role: "menuitem", class: "popup-item", tabindex: "-1", "data-value": option.value, onclick: () => { panel.close(); toggle.focus(); onchoose(option); } },
    h("span", { class: "select-label" }, renderPlain(option.text?.text)), option.description ? h("span", { class: "bk-option-description" }, renderPlain(option.description.text)) : null));
  const panel = floating(toggle, h("div", { class: "bk-popup", role: "menu", "aria-label": label }, items));
  const go = (at) => items.at(at % items.length)?.focus();
  const openAt = (at) => { panel.open(); go(at); };
  toggle.addEventListener("click", () => (panel.isOpen() ? panel.close() : openAt(0)));
  panel.box.addEventListener("keydown", (event) => {
    const here = items.indexOf(document.activeElement);
    const step = { ArrowDown: here + 1, ArrowUp: here < 0 ? -1 : here - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") panel.close();
    if (step === undefined || (here < 0 && !event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    openAt(step);
  });
  return panel.box;
}

/** An accessible select: closed it shows what is chosen, open it filters as one types. */
export function combobox({ label, placeholder, multiple, max, options, search, least, onchange }) {
  let chosen = [];
  let shown = [];
  let active = 0;
  let asked = 0;
  const listId = uid("list");
  const text = h("span", { class: "select-text", id: uid("chosen") });
  const toggle = h("button", { type: "button", class: "bk-select", "aria-haspopup": "listbox", "aria-expanded": "false" }, text, h("span", { class: "select-arrow", "aria-hidden": "true" }));
  if (label) toggle.setAttribute("aria-labelledby", `${label} ${text.id}`);
  const filter = h("input", { type: "text", class: "select-filter", role: "combobox", "aria-label": `Filter: ${placeholder}`, "aria-controls": listId, "aria-expanded": "true", "aria-autocomplete": "list", autocomplete: "off", placeholder: "Type to filter" });
  const list = h("div", { id: listId, class: "select-list", role: "listbox", "aria-label": placeholder, "aria-multiselectable": multiple ? "true" : null });
  const panel = floating(toggle, h("div", { class: "bk-popup select-popup" }, filter, list));

  const showChosen = () => {
    const names = chosen.map((one) => one.label).join(", ");
    text.classList.toggle("select-empty", !chosen.length);
    if (!chosen.length) text.replaceChildren(renderPlain(placeholder));
    else text.replaceChildren(...chosen.map((one) => h("span", { class: multiple ? "select-chip" : "" }, ...signOf(one), renderPlain(one.label))));
    if (!label) toggle.setAttribute("aria-label", names ? `${placeholder}: ${names}` : placeholder);
  };
  const choose = (option) => {
    const has = chosen.some((one) => one.key === option.key);
    if (!multiple) chosen = [option];
    else if (has) chosen = chosen.filter((one) => one.key !== option.key);
    else if (!max || chosen.length < max) chosen = [...chosen, option];
    else return;
    showChosen();
    if (multiple) redraw();
    else { panel.close(); toggle.focus(); }
    onchange(chosen);
  };
  const row = (option) => {
    const picked = chosen.some((one) => one.key === option.key);
    const full = multiple && !picked && max && chosen.length >= max;
    const node = h("div", { id: uid("opt"), role: "option", class: "select-option", "aria-selected": String(picked), "aria-disabled": full ? "true" : null, "data-value": option.key, onclick: () => choose(option) },
      h("span", { class: "select-label" }, ...signOf(option), renderPlain(option.label)), option.description ? h("span", { class: "bk-option-description" }, renderPlain(option.description)) : null);
    shown.push([option, node]);
    return node;
  };
  const draw = (found) => {
    shown = [];
    list.replaceChildren(...found.filter((group) => group.options.length).map((group) => h("div", { class: "select-section", role: "group", "aria-label": group.label ?? null },
      group.label ? h("div", { class: "select-group", "aria-hidden": "true" }, renderPlain(group.label)) : null, group.options.map(row))));
    if (!shown.length) note("Nothing found");
    active = Math.min(active, Math.max(0, shown.length - 1));
    mark();
  };
  const note = (said) => { shown = []; list.replaceChildren(h("div", { class: "select-none", role: "status" }, said)); filter.removeAttribute("aria-activedescendant"); };
  const redraw = async () => {
    const query = filter.value.trim();
    const turn = (asked += 1);
    if (!search) {
      draw(options().map((group) => ({ ...group, options: group.options.filter((one) => one.label.toLowerCase().includes(query.toLowerCase())) })));
    } else if (query.length < least) note(`Type ${least} or more characters to search`);
    else {
      if (!shown.length) note("Searching…");
      await new Promise((done) => { setTimeout(done, 180); });
      const found = turn === asked ? await search(query) : null;
      if (found && turn === asked) draw([{ options: found }]);
    }
    panel.where();
  };
  const mark = () => {
    shown.forEach(([, node], at) => node.classList.toggle("active", at === active));
    const node = shown[active]?.[1];
    if (!node) return;
    filter.setAttribute("aria-activedescendant", node.id);
    node.scrollIntoView({ block: "nearest" });
  };
  const open = () => {
    filter.value = "";
    panel.open();
    active = 0;
    redraw();
    const at = shown.findIndex(([option]) => !multiple && option.key === chosen[0]?.key);
    if (at > 0) { active = at; mark(); }
    filter.focus({ preventScroll: true });
  };
  const keys = {
    ArrowDown: () => { active += 1; },
    ArrowUp: () => { active += shown.length - 1; },
    Home: () => { active = 0; },
    End: () => { active = shown.length - 1; },
  };

  toggle.addEventListener("click", () => (panel.isOpen() ? panel.close() : open()));
  toggle.addEventListener("keydown", (event) => {
    if (!["ArrowDown", "ArrowUp"].includes(event.key)) return;
    event.preventDefault();
    open();
  });
  filter.addEventListener("input", () => { active = 0; redraw(); });
  filter.addEventListener("keydown", (event) => {
    if (event.key in keys && (event.key.startsWith("Arrow") || !filter.value)) {
      event.preventDefault();
      keys[event.key]();
      active %= Math.max(1, shown.length);
      mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      event.stopPropagation();
      if (shown[active]) choose(shown[active][0]);
    } else if (event.key === "Backspace" && multiple && !filter.value && chosen.length) choose(chosen.at(-1));
    else if (event.key === "Tab") panel.close();
  });
  showChosen();
  return { node: panel.box, set: (given) => { chosen = [...given]; showChosen(); if (panel.isOpen()) redraw(); } };
}

function signOf(option) {
  return option.user ? [avatar(option.user, 18), " "] : [];
}
