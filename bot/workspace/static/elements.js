// Block Kit's elements, with the value this client shows and what it sends when a person acts.
import { momentOf, wallClock } from "./dates.js";
import { h, uid, sourceOf } from "./dom.js";
import { confirmDialog } from "./dialogs.js";
import { renderMrkdwn, renderPlain, safeUrl } from "./mrkdwn.js";
import { keep, readState, stateKey, valueOf } from "./clientstate.js";
import { askOptions, choices, combobox, menu } from "./pickers.js";
import { richTextAsText } from "./richtext.js";

/** A text object as nodes. */
export function textNodes(text, ctx) {
  return text?.type === "mrkdwn" ? renderMrkdwn(text.text, ctx) : renderPlain(text?.text);
}

/** What an element needs to know of where it stands: `stage` has the drawing's context and its blocks. */
function scene(stage, block, element, labelledBy) {
  const silent = block.type === "input" && !block.dispatch_action;
  const box = h("span", { class: "bk-element", "data-action-id": element.action_id });
  const problem = h("span", { class: "bk-problem", role: "alert" });
  const at = {
    stage, block, element, box, problem, silent, labelledBy,
    get ctx() { return stage.ctx; },
    get value() { return valueOf(stage.ctx, block.block_id, element); },
    /** How to show a value; elements that have one set it. */
    show: () => {},
    /** Keep the value, here and where else this message is drawn. */
    keep(value) {
      keep(stage.ctx, block.block_id, element, value);
      for (const other of twins(box)) if (other !== box) other.bkShow(value);
    },
    /** Keep the value, and tell the app unless a form keeps it until it is submitted. */
    async act(value, { stateful = true, after = () => {} } = {}) {
      if (element.confirm && !(await confirmDialog(element.confirm, stage.ctx))) {
        if (stateful) at.show(at.value);
        return;
      }
      if (stateful) at.keep(value);
      after();
      say(box, "");
      if (silent || !stage.ctx.onAction) return;
      busy(box, 1);
      const answer = await ask(stage, block, element, value);
      busy(box, -1);
      if (!answer?.ok) say(box, answer?.message ?? "This app did not respond.");
    },
  };
  box.bkKey = stateKey(stage.ctx, block.block_id, element.action_id);
  box.bkShow = (value) => at.show(value);
  box.bkSay = (text) => { problem.textContent = text; };
  return at;
}

async function ask({ ctx, blocks }, block, element, value) {
  try {
    return await ctx.onAction({ block_id: block.block_id, action_id: element.action_id, value, state: readState(ctx, blocks) });
  } catch {
    return { ok: false };
  }
}

/** Where else the same element is drawn: a thread's first message stands in the channel, too. */
function twins(box) {
  const same = document.querySelectorAll(`[data-action-id="${CSS.escape(box.dataset.actionId ?? "")}"]`);
  return [...same].filter((other) => other.bkKey === box.bkKey);
}

/** Say what went wrong under the element, also where it was drawn again meanwhile. */
function say(box, text) {
  const places = box.isConnected ? [box] : twins(box);
  for (const place of places) place.bkSay(text);
}

function busy(box, change) {
  box.bkBusy = (box.bkBusy ?? 0) + change;
  box.toggleAttribute("data-busy", box.bkBusy > 0);
}

const RENDER = {
  button, checkboxes, radio_buttons: radios, overflow, static_select: select, external_select: select,
  users_select: select, conversations_select: select, channels_select: select,
  multi_static_select: select, multi_external_select: select, multi_users_select: select,
  multi_conversations_select: select, multi_channels_select: select,
  datepicker: picker("date", "Pick a date"), timepicker: picker("time", "Pick a time"), datetimepicker: picker("datetime-local", "Pick a date and a time"),
  plain_text_input: textInput, number_input: textInput, email_text_input: textInput, url_text_input: textInput,
  rich_text_input: richInput, file_input: fileInput, image, feedback_buttons: feedback, icon_button: iconButton,
};

/** One element. `labelledBy` names the label of the input block it stands in. */
export function renderElement(stage, block, element, labelledBy) {
  const render = RENDER[element?.type];
  if (!render) return h("span", { class: "bk-unsupported" }, `Unsupported element: ${element?.type}`);
  const at = scene(stage, block, element, labelledBy);
  at.box.dataset.type = element.type;
  at.box.append(render(at), at.problem);
  if (element.focus_on_load) controlOf(at.box)?.setAttribute("data-autofocus", "true");
  return at.box;
}

/** The control of an element that takes the focus. */
export function controlOf(box) {
  return box.querySelector("input, textarea, button");
}

function open(url, ctx) {
  if (safeUrl(url) && !ctx.openLink?.(url)) window.open(url, "_blank", "noopener");
}

function button(at) {
  const { element } = at;
  const style = { primary: "bk-primary", danger: "bk-danger" }[element.style] ?? "";
  return h("button", {
    type: "button", class: `bk-button ${style}`, "aria-label": element.accessibility_label, title: element.url ?? null,
    onclick: () => at.act({}, { stateful: false, after: () => open(element.url, at.ctx) }),
  }, renderPlain(element.text?.text));
}

const FEEDBACK = [["positive_button", "👍"], ["negative_button", "👎"]];

function feedback(at) {
  return h("span", { class: "bk-feedback" }, FEEDBACK.map(([key, sign]) => {
    const one = at.element[key];
    return one ? h("button", {
      type: "button", class: "bk-icon-button", "aria-label": one.accessibility_label ?? one.text?.text, title: one.text?.text, "data-value": one.value,
      onclick: () => at.act({ value: one.value }, { stateful: false }),
    }, sign) : null;
  }));
}

function iconButton(at) {
  const { element, ctx } = at;
  const seen = !element.visible_to_user_ids || element.visible_to_user_ids.includes(ctx.me);
  return h("button", {
    type: "button", class: "bk-icon-button", hidden: !seen, "aria-label": element.accessibility_label ?? element.text?.text, title: element.text?.text,
    onclick: () => at.act({}, { stateful: false }),
  }, { trash: "🗑" }[element.icon] ?? renderPlain(element.text?.text));
}

function option(one, input, ctx) {
  const id = one.description ? uid("desc") : null;
  if (id) input.setAttribute("aria-describedby", id);
  return h("label", { class: "bk-box", "data-value": one.value }, input,
    h("span", { class: "bk-box-body" },
      h("span", { class: "bk-option-text" }, textNodes(one.text, ctx)),
      one.description ? h("span", { class: "bk-option-description", id }, textNodes(one.description, ctx)) : null));
}

function checkboxes(at) {
  const options = at.element.options ?? [];
  const inputs = options.map(() => h("input", { type: "checkbox", onchange: () => act() }));
  const act = () => at.act({ selected_options: options.filter((_, index) => inputs[index].checked) });
  at.show = (value) => {
    const selected = new Set((value.selected_options ?? []).map((one) => one.value));
    options.forEach((one, index) => { inputs[index].checked = selected.has(one.value); });
  };
  at.show(at.value);
  return h("span", { class: "bk-boxes", role: "group", "aria-labelledby": at.labelledBy }, options.map((one, index) => option(one, inputs[index], at.ctx)));
}

function radios(at) {
  const options = at.element.options ?? [];
  const name = uid("radio");
  const inputs = options.map((one) => h("input", { type: "radio", name, onchange: () => at.act({ selected_option: one }) }));
  at.show = (value) => options.forEach((one, index) => { inputs[index].checked = one.value === value.selected_option?.value; });
  at.show(at.value);
  return h("span", { class: "bk-boxes", role: "radiogroup", "aria-labelledby": at.labelledBy }, options.map((one, index) => option(one, inputs[index], at.ctx)));
}

function overflow(at) {
  return menu({
    label: "More actions", options: at.element.options ?? [],
    onchoose: (one) => at.act({ selected_option: one }, { stateful: false, after: () => open(one.url, at.ctx) }),
  });
}

function select(at) {
  const { element, stage, block } = at;
  const kind = choices(element, at.ctx, (query) => askOptions(stage.ctx, block, element, query, readState(stage.ctx, stage.blocks)));
  const { node, set } = combobox({
    label: at.labelledBy, placeholder: element.placeholder?.text ?? (kind.multiple ? "Select options" : "Select an option"),
    multiple: kind.multiple, max: element.max_selected_items, options: kind.options, search: kind.search, least: element.min_query_length ?? 3,
    onchange: (chosen) => at.act(kind.write(chosen)),
  });
  at.show = (value) => set(kind.read(value));
  at.show(at.value);
  return node;
}

/** How native pickers read and write the element's value. */
const PICKED = {
  date: { read: (value) => value.selected_date ?? "", write: (text) => ({ selected_date: text || null }) },
  time: { read: (value) => value.selected_time ?? "", write: (text) => ({ selected_time: text || null }) },
  "datetime-local": {
    read: (value, tz) => (value.selected_date_time ? wallClock(value.selected_date_time, tz) : ""),
    write: (text, tz) => ({ selected_date_time: text ? momentOf(text.slice(0, 16), tz) : null }),
  },
};

function picker(type, label) {
  return (at) => {
    const { read, write } = PICKED[type];
    const input = h("input", { type, class: "bk-input bk-picker", "aria-labelledby": at.labelledBy, "aria-label": at.labelledBy ? null : at.element.placeholder?.text ?? label });
    let typing = false;
    const commit = () => {
      typing = false;
      if (input.value !== read(at.value, at.ctx.tz)) at.act(write(input.value, at.ctx.tz));
    };
    at.show = (value) => { input.value = read(value, at.ctx.tz); };
    at.show(at.value);
    // Browsers report a change with every digit typed: the app hears of the whole.
    input.addEventListener("keydown", (event) => {
      typing = event.key !== "Enter";
      if (!typing) commit();
    });
    input.addEventListener("change", () => { if (at.silent || !typing) commit(); });
    input.addEventListener("blur", () => { if (input.isConnected && !input.validity.badInput) commit(); });
    return input;
  };
}

const TYPES = { number_input: "number", email_text_input: "email", url_text_input: "url" };

function textInput(at) {
  const { element, block } = at;
  const attributes = {
    class: "bk-input", placeholder: element.placeholder?.text ?? "", "aria-labelledby": at.labelledBy,
    "aria-label": at.labelledBy ? null : element.placeholder?.text ?? "Text", autocomplete: "off",
    maxlength: element.max_length ?? null, "aria-required": block.type === "input" && !block.optional ? "true" : null,
  };
  const input = element.multiline ? h("textarea", { ...attributes, rows: "4" })
    : h("input", { ...attributes, type: TYPES[element.type] ?? "text", inputmode: element.type === "number_input" ? "decimal" : null, step: element.is_decimal_allowed ? "any" : null, min: element.min_value ?? null, max: element.max_value ?? null });
  const counter = element.max_length || element.min_length ? h("span", { class: "bk-counter", "aria-hidden": "true" }) : null;
  const count = () => { if (counter) counter.textContent = remark(input.value.length, element); };
  const typed = () => ({ value: input.value || null });
  at.show = (value) => { if (input.value !== (value.value ?? "")) input.value = value.value ?? ""; count(); };
  at.show(at.value);
  input.addEventListener("input", () => { at.keep(typed()); count(); });
  if (block.dispatch_action) {
    const when = element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
    if (when.includes("on_character_entered")) input.addEventListener("input", () => at.act(typed()));
    if (when.includes("on_enter_pressed")) input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      event.stopPropagation();
      at.act(typed());
    });
  }
  return h("span", { class: `bk-input-box${counter ? " bk-counted" : ""}` }, input, counter);
}

/** How many characters are missing or left, once that matters. */
function remark(length, { min_length: least = 0, max_length: most = Infinity }) {
  if (length && length < least) return `${least - length} more needed`;
  if (length > most * 0.7 || most - length <= 20) return `${most - length} left`;
  return "";
}

function richInput(at) {
  const input = h("textarea", { class: "bk-input", rows: "4", "aria-labelledby": at.labelledBy, placeholder: at.element.placeholder?.text ?? "" });
  const value = () => (input.value ? { type: "rich_text", elements: [{ type: "rich_text_section", elements: [{ type: "text", text: input.value }] }] } : null);
  at.show = (shown) => { const text = richTextAsText(shown.rich_text_value); if (input.value !== text) input.value = text; };
  at.show(at.value);
  input.addEventListener("input", () => at.keep({ rich_text_value: value() }));
  if (at.block.dispatch_action) input.addEventListener("change", () => at.act({ rich_text_value: value() }));
  return input;
}

function fileInput(at) {
  const types = (at.element.filetypes ?? []).map((type) => `.${type}`).join(",");
  const input = h("input", { type: "file", class: "bk-input bk-file-input", "aria-labelledby": at.labelledBy, accept: types || null, multiple: (at.element.max_files ?? 10) > 1 });
  input.addEventListener("change", () => at.keep({ files: [...input.files].slice(0, at.element.max_files ?? 10).map((file) => ({ name: file.name, size: file.size, mimetype: file.type })) }));
  return input;
}

function image(at) {
  return h("img", { class: "bk-small-image", src: sourceOf(at.element), alt: at.element.alt_text ?? "", loading: "lazy" });
}
