// Block Kit as DOM nodes.
import { append, h, uid } from "./dom.js";
import { flatten, prune, readState as read } from "./clientstate.js";
import { renderElement, textNodes } from "./elements.js";
import { renderMrkdwn, renderPlain } from "./mrkdwn.js";
import { renderRichText } from "./richtext.js";

const RENDER = {
  header: (block) => h("h3", { class: "bk-header" }, renderPlain(block.text?.text)),
  divider: () => h("hr", { class: "bk-divider" }),
  section, context, actions, image, input, rich_text: (block, ctx) => renderRichText(block, ctx), table, markdown, video, file, alert, card, container,
};

/** Draw the blocks into the container, in place of what was there; focus stays on the same control. */
export function renderBlocks(container, blocks, ctx) {
  const focused = focusedControl(container);
  prune(ctx, flatten(blocks));
  container.replaceChildren(...(blocks ?? []).map((block) => draw(block, ctx, blocks)));
  if (focused) container.querySelector(focused)?.focus({ preventScroll: true });
}

/** Slack's `state.values` of these blocks as this client shows them. */
export function readState(ctx, blocks) {
  return read(ctx, blocks);
}

/** Say beside each input what is wrong; the first one gets the focus. */
export function setErrors(container, errors) {
  let first = null;
  for (const box of container.querySelectorAll("[data-error-for]")) {
    const message = errors?.[box.dataset.errorFor] ?? "";
    box.textContent = message;
    const control = box.parentElement.querySelector("input, textarea, button");
    control?.toggleAttribute("aria-invalid", Boolean(message));
    box.parentElement.classList.toggle("has-error", Boolean(message));
    if (message && !first) first = control;
  }
  first?.focus();
}

function focusedControl(container) {
  const active = document.activeElement;
  if (!active || !container.contains(active)) return null;
  const element = active.closest("[data-action-id]");
  if (!element) return null;
  const value = active.closest("[data-value]");
  const inside = value ? `[data-value="${CSS.escape(value.dataset.value)}"] input` : "input, textarea, button";
  return `[data-action-id="${CSS.escape(element.dataset.actionId)}"] :is(${inside})`;
}

function draw(block, ctx, blocks) {
  const render = RENDER[block.type];
  const node = render ? render(block, ctx, blocks) : h("div", { class: "bk-unsupported" }, `Unsupported block: ${block.type}`);
  node.classList.add("bk-block");
  if (block.block_id) node.dataset.blockId = block.block_id;
  return node;
}

function section(block, ctx, blocks) {
  const body = h("div", { class: "bk-section-body" });
  if (block.text) body.append(h("div", { class: "bk-text" }, textNodes(block.text, ctx)));
  if (block.fields) body.append(h("div", { class: "bk-fields" }, block.fields.map((field) => h("div", { class: "bk-text" }, textNodes(field, ctx)))));
  const accessory = block.accessory
    ? block.accessory.type === "image"
      ? h("img", { class: "bk-accessory-image", src: block.accessory.image_url, alt: block.accessory.alt_text ?? "", loading: "lazy" })
      : renderElement(ctx, block, block.accessory, blocks)
    : null;
  return h("div", { class: "bk-section" }, body, accessory);
}

function context(block, ctx) {
  return h("div", { class: "bk-context" }, (block.elements ?? []).map((element) =>
    element.type === "image"
      ? h("img", { class: "bk-small-image", src: element.image_url, alt: element.alt_text ?? "", loading: "lazy" })
      : h("span", {}, textNodes(element, ctx))));
}

function actions(block, ctx, blocks) {
  return h("div", { class: "bk-actions" }, (block.elements ?? []).map((element) => renderElement(ctx, block, element, blocks)));
}

function image(block, ctx) {
  const picture = h("img", { class: "bk-image", src: block.image_url ?? block.slack_file?.url, alt: block.alt_text ?? "", loading: "lazy" });
  const open = h("button", { type: "button", class: "bk-image-button", "aria-label": `Enlarge: ${block.alt_text ?? "image"}`, onclick: () => ctx.openImage?.(picture.src, block.alt_text) }, picture);
  return h("figure", { class: "bk-figure" }, block.title ? h("figcaption", {}, renderPlain(block.title.text)) : null, open);
}

function input(block, ctx, blocks) {
  const id = uid("label");
  const error = h("div", { class: "bk-error", role: "alert", "data-error-for": block.block_id });
  return h("div", { class: "bk-input-block" },
    h("div", { class: "bk-label", id }, renderPlain(block.label?.text), block.optional ? h("span", { class: "bk-optional" }, " (optional)") : null),
    renderElement(ctx, block, block.element, blocks, id),
    error,
    block.hint ? h("div", { class: "bk-hint" }, renderPlain(block.hint.text)) : null);
}

function table(block, ctx) {
  const rows = (block.rows ?? []).map((row, at) => h("tr", {}, row.map((cell, column) => {
    const settings = block.column_settings?.[column] ?? {};
    const content = cell.type === "rich_text" ? renderRichText(cell, ctx) : renderPlain(String(cell.text ?? cell.number ?? ""));
    const node = h(at ? "td" : "th", {}, content);
    node.style.textAlign = settings.align ?? "left";
    return node;
  })));
  return h("div", { class: "bk-table" }, h("table", {}, rows));
}

function markdown(block, ctx) {
  const text = (block.text ?? "").replace(/^#{1,6}\s+(.*)$/gm, "*$1*").replace(/\*\*(.+?)\*\*/g, "*$1*").replace(/\[([^\]]+)\]\(([^)\s]+)\)/g, "<$2|$1>").replace(/^[-*]\s+/gm, "• ");
  return h("div", { class: "bk-text" }, renderMrkdwn(text, ctx));
}

function video(block) {
  return h("div", { class: "bk-card" }, h("a", { href: block.video_url, target: "_blank", rel: "noreferrer noopener" }, renderPlain(block.title?.text ?? "Video")), block.description ? h("div", {}, renderPlain(block.description.text)) : null);
}

function file(block) {
  return h("div", { class: "bk-card" }, `📄 ${block.external_id ?? "File"}`);
}

function alert(block, ctx) {
  return h("div", { class: `bk-alert bk-alert-${block.level ?? "default"}`, role: "note" }, textNodes(block.text, ctx));
}

function card(block, ctx, blocks) {
  const box = h("div", { class: "bk-card" });
  if (block.hero_image) box.append(h("img", { class: "bk-image", src: block.hero_image.image_url, alt: block.hero_image.alt_text ?? "" }));
  for (const [key, tag] of [["title", "strong"], ["subtitle", "span"], ["body", "div"]]) if (block[key]) box.append(h(tag, { class: `bk-card-${key}` }, textNodes(block[key], ctx)));
  return append(box, (block.actions ?? []).map((element) => renderElement(ctx, block, element, blocks)));
}

function container(block, ctx, blocks) {
  const inside = (block.child_blocks ?? []).map((child) => draw(child, ctx, blocks));
  const title = renderPlain(block.title?.text ?? "");
  if (!block.is_collapsible) return h("div", { class: "bk-container" }, h("strong", {}, title), inside);
  return h("details", { class: "bk-container", open: !block.is_collapsed }, h("summary", {}, title), inside);
}
