// Block Kit's elements, with the value this client shows and what it sends when a person acts.
import { h, uid } from "./dom.js";
import { confirmDialog } from "./dialogs.js";
import { renderMrkdwn, renderPlain } from "./mrkdwn.js";
import { keep, readState, valueOf } from "./clientstate.js";
import { choices, combobox } from "./pickers.js";

/** A text object as nodes. */
export function textNodes(text, ctx) {
  return text?.type === "mrkdwn" ? renderMrkdwn(text.text, ctx) : renderPlain(text?.text);
}

/** What an element needs to know of where it stands. */
function scene(ctx, block, element, blocks) {
  const silent = block.type === "input" && !block.dispatch_action;
  const box = h("span", { class: "bk-element", "data-action-id": element.action_id });
  const problem = h("span", { class: "bk-problem", role: "alert" });
  return {
    ctx, block, element, box, problem,
    value: valueOf(ctx, block.block_id, element),
    /** Keep the value, and tell the app unless a form keeps it until it is submitted. */
    async act(value, { stateful = true, undo = () => {} } = {}) {
      if (element.confirm && !(await confirmDialog(element.confirm, ctx))) {
        undo();
        return;
      }
      if (stateful) keep(ctx, block.block_id, element, value);
      problem.textContent = "";
      if (silent || !ctx.onAction) return;
      box.dataset.busy = "true";
      const answer = await ctx.onAction({
        block_id: block.block_id, action_id: element.action_id, value, state: readState(ctx, blocks),
      });
      delete box.dataset.busy;
      if (!answer?.ok) problem.textContent = answer?.message ?? "The app did not respond.";
    },
  };
}

const RENDER = {
  button, checkboxes, radio_buttons: radios, overflow, static_select: select, external_select: select,
  users_select: select, conversations_select: select, channels_select: select,
  multi_static_select: select, multi_external_select: select, multi_users_select: select,
  multi_conversations_select: select, multi_channels_select: select,
  datepicker: picker("date", "selected_date"), timepicker: picker("time", "selected_time"), datetimepicker,
  plain_text_input: textInput, number_input: textInput, email_text_input: textInput, url_text_input: textInput,
  rich_text_input: richInput, file_input: fileInput, image,
};

/** One element. `labelledBy` names the label of the input block it stands in. */
export function renderElement(ctx, block, element, blocks, labelledBy) {
  const render = RENDER[element.type];
  if (!render) return h("span", { class: "bk-unsupported" }, `Unsupported element: ${element.type}`);
  const at = scene(ctx, block, element, blocks);
  at.labelledBy = labelledBy;
  at.box.append(render(at), at.problem);
  return at.box;
}

function button(at) {
  const { element, ctx } = at;
  const style = { primary: "bk-primary", danger: "bk-danger" }[element.style] ?? "";
  return h("button", {
    type: "button", class: `bk-button ${style}`, "aria-label": element.accessibility_label,
    onclick: () => {
      if (element.url && !ctx.openLink?.(element.url)) window.open(element.url, "_blank", "noopener");
      at.act({}, { stateful: false });
    },
  }, renderPlain(element.text?.text));
}

function optionText(option, ctx) {
  const id = uid("desc");
  const nodes = [h("span", { class: "bk-option-text" }, textNodes(option.text, ctx))];
  if (option.description) nodes.push(h("span", { class: "bk-option-description", id }, textNodes(option.description, ctx)));
  return { nodes, id: option.description ? id : null };
}

function checkboxes(at) {
  const { element, ctx } = at;
  let selected = new Set(at.value.selected_options.map((option) => option.value));
  return h("span", { class: "bk-boxes", role: "group", "aria-labelledby": at.labelledBy }, element.options.map((option) => {
    const text = optionText(option, ctx);
    const input = h("input", { type: "checkbox", checked: selected.has(option.value), "aria-describedby": text.id });
    input.addEventListener("change", () => {
      const before = new Set(selected);
      if (input.checked) selected.add(option.value); else selected.delete(option.value);
      label.classList.toggle("checked", input.checked);
      at.act({ selected_options: element.options.filter((o) => selected.has(o.value)) }, {
        undo: () => { selected = before; input.checked = before.has(option.value); label.classList.toggle("checked", input.checked); },
      });
    });
    const label = h("label", { class: `bk-box${selected.has(option.value) ? " checked" : ""}`, "data-value": option.value }, input, h("span", {}, text.nodes));
    return label;
  }));
}

function radios(at) {
  const name = uid("radio");
  const chosen = at.value.selected_option?.value;
  return h("span", { class: "bk-boxes", role: "radiogroup", "aria-labelledby": at.labelledBy }, at.element.options.map((option) => {
    const text = optionText(option, at.ctx);
    const input = h("input", { type: "radio", name, checked: option.value === chosen, "aria-describedby": text.id });
    input.addEventListener("change", () => at.act({ selected_option: option }));
    return h("label", { class: "bk-box", "data-value": option.value }, input, h("span", {}, text.nodes));
  }));
}

function overflow(at) {
  const menu = h("div", { class: "popup", role: "menu", hidden: true }, at.element.options.map((option) =>
    h("button", { type: "button", role: "menuitem", class: "popup-item", "data-value": option.value, onclick: () => { close(); at.act({ selected_option: option }, { stateful: false }); } }, renderPlain(option.text.text))));
  const toggle = h("button", { type: "button", class: "bk-button bk-overflow", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": "More actions" }, "⋯");
  const close = () => { menu.hidden = true; toggle.setAttribute("aria-expanded", "false"); };
  toggle.addEventListener("click", () => { menu.hidden = !menu.hidden; toggle.setAttribute("aria-expanded", String(!menu.hidden)); if (!menu.hidden) menu.querySelector("button")?.focus(); });
  const box = h("span", { class: "popup-anchor" }, toggle, menu);
  box.addEventListener("keydown", (event) => { if (event.key === "Escape" && !menu.hidden) { event.stopPropagation(); close(); toggle.focus(); } });
  box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget)) close(); });
  return box;
}

function select(at) {
  const { element } = at;
  const kind = choices(element, at.ctx);
  return combobox({
    label: at.labelledBy, placeholder: element.placeholder?.text ?? "Select an option", multiple: element.type.startsWith("multi_"),
    max: element.max_selected_items, options: kind.options, search: kind.search, selected: kind.read(at.value),
    focus: element.focus_on_load, onchange: (chosen, undo) => at.act(kind.write(chosen), { undo }),
  });
}

function picker(type, field) {
  return (at) => {
    const input = h("input", { type, class: "bk-input bk-picker", value: at.value[field] ?? "", "aria-labelledby": at.labelledBy, "aria-label": at.labelledBy ? null : at.element.placeholder?.text ?? type });
    input.value = at.value[field] ?? "";
    input.addEventListener("change", () => at.act({ [field]: input.value || null }));
    return input;
  };
}

function datetimepicker(at) {
  const local = (seconds) => { const d = new Date(seconds * 1000); return new Date(d.getTime() - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16); };
  const input = h("input", { type: "datetime-local", class: "bk-input bk-picker", "aria-labelledby": at.labelledBy, "aria-label": at.labelledBy ? null : "Date and time" });
  if (at.value.selected_date_time) input.value = local(at.value.selected_date_time);
  input.addEventListener("change", () => at.act({ selected_date_time: input.value ? Math.floor(new Date(input.value).getTime() / 1000) : null }));
  return input;
}

const TYPES = { number_input: "number", email_text_input: "email", url_text_input: "url" };

function textInput(at) {
  const { element, block, ctx } = at;
  const attributes = {
    class: "bk-input", placeholder: element.placeholder?.text ?? "", "aria-labelledby": at.labelledBy,
    maxlength: element.max_length ?? null, "aria-required": block.type === "input" && !block.optional ? "true" : null, autocomplete: "off",
  };
  const input = element.multiline ? h("textarea", { ...attributes, rows: "4" })
    : h("input", { ...attributes, type: TYPES[element.type] ?? "text", step: element.is_decimal_allowed ? "any" : null, min: element.min_value ?? null, max: element.max_value ?? null });
  input.value = at.value.value ?? "";
  const counter = element.max_length && element.max_length <= 1000 ? h("span", { class: "bk-counter", "aria-hidden": "true" }) : null;
  const count = () => { if (counter) counter.textContent = input.value.length > element.max_length * 0.7 ? String(element.max_length - input.value.length) : ""; };
  count();
  input.addEventListener("input", () => { keep(ctx, block.block_id, element, { value: input.value || null }); count(); });
  if (block.dispatch_action) {
    const when = element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
    if (when.includes("on_character_entered")) input.addEventListener("input", () => at.act({ value: input.value || null }));
    if (when.includes("on_enter_pressed")) input.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); at.act({ value: input.value || null }); } });
  }
  if (element.focus_on_load) input.dataset.autofocus = "true";
  return h("span", { class: "bk-input-box" }, input, counter);
}

function richInput(at) {
  const input = h("textarea", { class: "bk-input", rows: "4", "aria-labelledby": at.labelledBy, placeholder: at.element.placeholder?.text ?? "" });
  input.value = (at.value.rich_text_value?.elements ?? []).flatMap((part) => part.elements ?? []).map((leaf) => leaf.text ?? "").join("");
  input.addEventListener("input", () => keep(at.ctx, at.block.block_id, at.element, {
    rich_text_value: { type: "rich_text", elements: [{ type: "rich_text_section", elements: [{ type: "text", text: input.value }] }] },
  }));
  return input;
}

function fileInput(at) {
  const input = h("input", { type: "file", class: "bk-input", "aria-labelledby": at.labelledBy, multiple: (at.element.max_files ?? 10) > 1 });
  input.addEventListener("change", () => keep(at.ctx, at.block.block_id, at.element, { files: [...input.files].map((file) => ({ name: file.name, size: file.size })) }));
  return input;
}

function image(at) {
  return h("img", { class: "bk-small-image", src: at.element.image_url, alt: at.element.alt_text ?? "", loading: "lazy" });
}
