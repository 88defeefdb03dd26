// Block Kit as DOM nodes.
import { h, uid, sourceOf } from "./dom.js";
import { flatten, prune, readState as read } from "./clientstate.js";
import { controlOf, renderElement, textNodes } from "./elements.js";
import { renderMarkdown } from "./markdown.js";
import { renderPlain, safeUrl } from "./mrkdwn.js";
import { renderRichText } from "./richtext.js";

const RENDER = {
  header: (block) => h("h3", { class: "bk-header" }, renderPlain(block.text?.text)),
  divider: () => h("hr", { class: "bk-divider" }),
  rich_text: (block, { ctx }) => renderRichText(block, ctx),
  markdown: (block, { ctx }) => renderMarkdown(block.text, ctx),
  section, context, actions, context_actions: actions, image, input, table, video, file, alert, card, carousel, container, plan, task_card: task,
};

/** What is drawn in each container: its stage, and the nodes by what they show. */
const drawings = new WeakMap();

/**
 * Draw the blocks into the container, in place of what was there.
 * Blocks that are the same stay as they are; the focus stays on the same control.
 */
export function renderBlocks(container, blocks, ctx) {
  const list = blocks ?? [];
  const before = drawings.get(container);
  const same = before && before.stage.ctx.key === ctx.key && before.stage.ctx.me === ctx.me;
  const stage = same ? before.stage : {};
  Object.assign(stage, { ctx, blocks: list });
  const focus = focused(container);
  prune(ctx, flatten(list));
  const old = same ? before.nodes : new Map();
  const nodes = new Map();
  const wanted = list.map((block) => {
    const look = JSON.stringify(block);
    const node = (old.get(look) ?? []).shift() ?? draw(block, stage);
    nodes.set(look, [...(nodes.get(look) ?? []), node]);
    return node;
  });
  drawings.set(container, { stage, nodes });
  arrange(container, wanted);
  refocus(container, focus);
}

/** Slack's `state.values` of these blocks as this client shows them. */
export function readState(ctx, blocks) {
  return read(ctx, blocks);
}

const told = new WeakMap();

/** Say beside each input what is wrong; the first one gets the focus when the errors are new. */
export function setErrors(container, errors) {
  let first = null;
  for (const box of container.querySelectorAll("[data-error-for]")) {
    const message = errors?.[box.dataset.errorFor] ?? "";
    if (box.textContent !== message) box.textContent = message;
    box.parentElement.classList.toggle("has-error", Boolean(message));
    for (const control of box.parentElement.querySelectorAll("input, textarea, .bk-select")) {
      if (message) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    }
    if (message) first ??= controlOf(box.parentElement);
  }
  if (told.get(container) !== errors) first?.focus();
  told.set(container, errors);
}

function arrange(container, wanted) {
  const keep = new Set(wanted);
  for (const node of [...container.childNodes]) if (!keep.has(node)) node.remove();
  let at = container.firstChild;
  for (const node of wanted) {
    if (node === at) at = at.nextSibling;
    else container.insertBefore(node, at);
  }
}

const ACTIONS = "[data-action-id]";

/** Which control has the focus, so that it can be found again in another drawing. */
function focused(container) {
  const active = document.activeElement;
  const box = active && container.contains(active) ? active.closest(ACTIONS) : null;
  if (!box) return null;
  const same = [...container.querySelectorAll(ACTIONS)].filter((one) => one.dataset.actionId === box.dataset.actionId);
  return {
    active, actionId: box.dataset.actionId, blockId: box.closest("[data-block-id]")?.dataset.blockId, at: same.indexOf(box),
    value: active.closest("[data-value]")?.dataset.value,
    selection: active.matches("textarea, input[type=text]") && !active.matches(".select-filter") ? [active.selectionStart, active.selectionEnd] : null,
  };
}

function refocus(container, was) {
  if (!was || document.activeElement === was.active || (document.activeElement !== document.body && document.activeElement !== null)) return;
  const same = [...container.querySelectorAll(ACTIONS)].filter((one) => one.dataset.actionId === was.actionId);
  const holds = (one) => was.value === undefined || one.querySelector(`[data-value="${CSS.escape(was.value)}"]`);
  const box = same.find((one) => one.closest("[data-block-id]")?.dataset.blockId === was.blockId && holds(one)) ?? [same[was.at], ...same].find((one) => one && holds(one)) ?? same[was.at] ?? same[0];
  if (!box) return;
  const option = was.value === undefined ? null : box.querySelector(`[data-value="${CSS.escape(was.value)}"] input`);
  const control = option ?? controlOf(box);
  control?.focus({ preventScroll: true });
  if (was.selection && control?.matches("textarea, input[type=text]")) control.setSelectionRange(...was.selection);
}

function draw(block, stage) {
  const render = RENDER[block?.type];
  const node = render ? attempt(render, block, stage) : unsupported(block);
  node.classList.add("bk-block");
  if (block?.block_id) node.dataset.blockId = block.block_id;
  return node;
}

/** A block that cannot be drawn must not take the others with it. */
function attempt(render, block, stage) {
  try {
    return render(block, stage);
  } catch (error) {
    console.warn("A block could not be drawn", block, error);
    return unsupported(block);
  }
}

function unsupported(block) {
  return h("div", { class: "bk-unsupported" }, `Unsupported block: ${block?.type}`);
}

function picture(source, className) {
  return h("img", { class: className, src: sourceOf(source), alt: source.alt_text ?? "", loading: "lazy" });
}

function section(block, stage) {
  const { ctx } = stage;
  const body = h("div", { class: "bk-section-body" },
    block.text ? h("div", { class: "bk-text" }, textNodes(block.text, ctx)) : null,
    block.fields ? h("div", { class: "bk-fields" }, block.fields.map((field) => h("div", { class: "bk-text" }, textNodes(field, ctx)))) : null);
  if (!block.accessory) return h("div", { class: "bk-section" }, body);
  const accessory = block.accessory.type === "image" ? picture(block.accessory, "bk-accessory-image") : renderElement(stage, block, block.accessory);
  const wide = ["checkboxes", "radio_buttons"].includes(block.accessory.type);
  return h("div", { class: `bk-section${wide ? " bk-section-boxes" : ""}` }, body, accessory);
}

function context(block, { ctx }) {
  return h("div", { class: "bk-context" }, (block.elements ?? []).map((element) => (element.type === "image"
    ? picture(element, "bk-small-image")
    : h("span", { class: "bk-text" }, textNodes(element, ctx)))));
}

function actions(block, stage) {
  return h("div", { class: "bk-actions" }, (block.elements ?? []).map((element) => renderElement(stage, block, element)));
}

function image(block, { ctx }) {
  const shown = picture(block, "bk-image");
  const enlarge = h("button", { type: "button", class: "bk-image-button", "aria-label": `Enlarge: ${block.alt_text ?? "image"}`, onclick: () => ctx.openImage?.(shown.src, block.alt_text) }, shown);
  return h("figure", { class: "bk-figure" }, block.title ? h("figcaption", {}, renderPlain(block.title.text)) : null, enlarge);
}

function input(block, stage) {
  const [label, error, hint] = [uid("label"), uid("error"), uid("hint")];
  const element = renderElement(stage, block, block.element, label);
  const group = element.querySelector(".bk-boxes");
  const control = controlOf(element);
  (group ?? control)?.setAttribute("aria-describedby", block.hint ? `${error} ${hint}` : error);
  const text = group || !control?.matches("input, textarea") ? null : (control.id = uid("input"));
  return h("div", { class: "bk-input-block" },
    h(text ? "label" : "div", { class: "bk-label", id: label, for: text }, renderPlain(block.label?.text), block.optional ? h("span", { class: "bk-optional" }, " (optional)") : null),
    element,
    h("div", { class: "bk-error", id: error, role: "alert", "aria-live": "assertive", "data-error-for": block.block_id }),
    block.hint ? h("div", { class: "bk-hint", id: hint }, renderPlain(block.hint.text)) : null);
}

function table(block, { ctx }) {
  const cell = (tag) => (given, column) => {
    const settings = block.column_settings?.[column] ?? {};
    const content = given?.type === "rich_text" ? renderRichText(given, ctx) : renderPlain(String(given?.text ?? given?.value ?? ""));
    const node = h(tag, { scope: tag === "th" ? "col" : null, class: settings.is_wrapped ? "bk-wrapped" : "" }, content);
    node.style.textAlign = settings.align ?? "left";
    return node;
  };
  const [head = [], ...rows] = block.rows ?? [];
  return h("div", { class: "bk-table", tabindex: "0", role: "region", "aria-label": "Table" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map(cell("th")))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell("td")))))));
}

function away(url, className, ...children) {
  return h("a", { class: className, href: safeUrl(url), target: "_blank", rel: "noreferrer noopener" }, children);
}

function video(block) {
  const by = [block.author_name, block.provider_name].filter(Boolean).join(" · ");
  return h("div", { class: "bk-card bk-video" },
    h("div", { class: "bk-card-head" }, block.provider_icon_url ? h("img", { class: "bk-small-image", src: block.provider_icon_url, alt: "" }) : null, by ? h("span", { class: "bk-card-subtitle" }, by) : null),
    away(block.title_url ?? block.video_url, "bk-card-title", renderPlain(block.title?.text ?? "Video")),
    block.description ? h("div", { class: "bk-card-body" }, renderPlain(block.description.text)) : null,
    block.thumbnail_url ? away(block.video_url, "bk-video-link", h("img", { class: "bk-image", src: block.thumbnail_url, alt: block.alt_text ?? "Watch the video", loading: "lazy" }), h("span", { class: "bk-play", "aria-hidden": "true" }, "▶")) : null);
}

function file(block) {
  const given = block.file ?? {};
  return h("div", { class: "bk-card bk-file" }, h("span", { class: "bk-file-sign", "aria-hidden": "true" }, "📄"),
    h("span", {}, h("span", { class: "bk-card-title" }, given.title ?? given.name ?? block.external_id ?? "File"), h("span", { class: "bk-card-subtitle" }, block.source === "remote" ? "Remote file" : "File")));
}

const LEVELS = { info: "ℹ", warning: "!", error: "✕", success: "✓", default: "•" };

function alert(block, { ctx }) {
  const level = block.level in LEVELS ? block.level : "default";
  return h("div", { class: `bk-alert bk-alert-${level}`, role: "note", "aria-label": level === "default" ? "Note" : level },
    h("span", { class: "bk-alert-sign", "aria-hidden": "true" }, LEVELS[level]), h("div", { class: "bk-text" }, textNodes(block.text, ctx)));
}

/** A title may be a text object or rich text. */
function words(text, ctx) {
  return text?.type === "rich_text" ? renderRichText(text, ctx) : textNodes(text, ctx);
}

function card(block, stage) {
  const { ctx } = stage;
  const part = (key) => (block[key] ? h("div", { class: `bk-card-${key} bk-text` }, words(block[key], ctx)) : null);
  return h("div", { class: "bk-card" },
    block.hero_image ? picture(block.hero_image, "bk-hero") : null,
    h("div", { class: "bk-card-head" }, block.icon ? picture(block.icon, "bk-card-icon") : null, h("div", {}, part("title"), part("subtitle"))),
    part("body"),
    block.actions?.length ? h("div", { class: "bk-actions" }, block.actions.map((element) => renderElement(stage, block, element))) : null);
}

function carousel(block, stage) {
  return h("div", { class: "bk-carousel", tabindex: "0", role: "region", "aria-label": "Cards" }, (block.elements ?? []).map((one) => draw({ type: "card", ...one }, stage)));
}

/** Which containers a person opened or closed, so that another drawing shows them alike. */
const folded = new Map();

function container(block, stage) {
  const { ctx } = stage;
  const inside = h("div", { class: "bk-container-body" }, (block.child_blocks ?? []).map((child) => draw(child, stage)));
  const head = [
    block.icon ? picture(block.icon, "bk-card-icon") : null,
    h("span", { class: "bk-container-head" },
      h("span", { class: "bk-container-title" }, words(block.rich_text_title ?? block.title, ctx)),
      block.subtitle ? h("span", { class: "bk-card-subtitle" }, textNodes(block.subtitle, ctx)) : null),
  ];
  const look = `bk-container bk-width-${block.width ?? "standard"}${block.has_header_divider ? " bk-divided" : ""}`;
  if (!block.is_collapsible) return h("div", { class: look }, h("div", { class: "bk-container-top" }, head), inside);
  const key = [ctx.me, ctx.key, block.block_id].join(" ");
  const box = h("details", { class: look, open: folded.get(key) ?? !block.default_collapsed }, h("summary", { class: "bk-container-top" }, head), inside);
  box.addEventListener("toggle", () => folded.set(key, box.open));
  return box;
}

const STATUS = { pending: ["○", "Pending"], in_progress: ["◐", "In progress"], complete: ["✓", "Done"], error: ["✕", "Failed"] };

function task(block, { ctx }) {
  const [sign, said] = STATUS[block.status] ?? STATUS.pending;
  return h("div", { class: `bk-task bk-task-${block.status ?? "pending"}` },
    h("span", { class: "bk-task-sign", role: "img", "aria-label": said }, sign),
    h("div", {}, renderPlain(block.title), [block.details, block.output].filter(Boolean).map((text) => renderRichText(text, ctx)),
      (block.sources ?? []).map((source) => h("div", { class: "bk-card-subtitle" }, away(source.url, "", source.text ?? source.url)))));
}

function plan(block, stage) {
  return h("div", { class: "bk-card bk-plan" }, h("div", { class: "bk-card-title" }, renderPlain(block.title)), (block.tasks ?? []).map((one) => draw({ type: "task_card", ...one }, stage)));
}
