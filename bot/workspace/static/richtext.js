// rich_text blocks: sections, lists, quotes, preformatted text, and the leaves in them.
import { h } from "./dom.js";
import { channelLink, chip, dateNode, emojiNode, group, link, mention } from "./mrkdwn.js";

/** A rich_text block, also as a table cell or a title. */
export function renderRichText(block, ctx) {
  return h("div", { class: "rich" }, (block?.elements ?? []).map((part) => piece(part, ctx)));
}

/** The text of a rich_text value, one line per part. */
export function richTextAsText(value) {
  const say = (leaf) => leaf.text ?? leaf.unicode ?? (leaf.elements ?? []).map(say).join(leaf.type === "rich_text_list" ? "\n" : "");
  return (value?.elements ?? []).map(say).join("\n");
}

function piece(part, ctx) {
  switch (part.type) {
    case "rich_text_section": return h("div", { class: "rich-section" }, leaves(part, ctx));
    case "rich_text_quote": return h("blockquote", { class: "mk-quote" }, leaves(part, ctx));
    case "rich_text_preformatted": return h("pre", { class: "mk-pre" }, leaves(part, ctx));
    case "rich_text_list": return list(part, ctx);
    default: return h("div", { class: "bk-unsupported" }, `Unsupported: ${part.type}`);
  }
}

function list(part, ctx) {
  const ordered = part.style === "ordered";
  const indent = part.indent ?? 0;
  const node = h(ordered ? "ol" : "ul", { class: `rich-list rich-level-${indent % 3}${part.border ? " rich-border" : ""}` },
    (part.elements ?? []).map((item) => h("li", {}, leaves(item, ctx))));
  node.style.setProperty("--indent", indent);
  if (ordered && part.offset) node.start = part.offset + 1;
  return node;
}

function leaves(part, ctx) {
  return (part.elements ?? []).map((leaf) => styled(leaf, node(leaf, ctx)));
}

function node(leaf, ctx) {
  switch (leaf.type) {
    case "text": return lines(leaf.text ?? "");
    case "link": return link(leaf.url, leaf.text ?? "", ctx, { plain: true });
    case "user": return mention(leaf.user_id, "", ctx);
    case "channel": return channelLink(leaf.channel_id, "", ctx);
    case "usergroup": return group(leaf.usergroup_id, "", ctx);
    case "broadcast": return chip(`@${leaf.range}`);
    case "emoji": return emojiNode(leaf.name, leaf.skin_tone ? `skin-tone-${leaf.skin_tone}` : "") ?? unicode(leaf.unicode) ?? `:${leaf.name}:`;
    case "date": return dateNode(leaf.timestamp, leaf.format ?? "{date_short_pretty} {time}", leaf.url, leaf.fallback ?? "", ctx);
    case "color": return colour(leaf.value);
    default: return lines(leaf.text ?? `[${leaf.type}]`);
  }
}

function unicode(points) {
  const codes = String(points ?? "").split("-").map((code) => Number.parseInt(code, 16));
  return codes.every((code) => code > 0 && code <= 0x10ffff) ? String.fromCodePoint(...codes) : null;
}

function colour(value) {
  const dot = h("span", { class: "color-dot", "aria-hidden": "true" });
  dot.style.background = value;
  return h("span", {}, dot, value);
}

function lines(text) {
  return text.split("\n").flatMap((line, at) => (at ? [h("br"), line] : [line]));
}

const STYLES = { code: ["code", "mk-code"], strike: ["s"], italic: ["em"], bold: ["strong"], underline: ["u"], highlight: ["mark"], client_highlight: ["mark"] };

function styled(leaf, content) {
  return Object.entries(STYLES).reduce((inner, [name, [tag, className]]) => (leaf.style?.[name] ? h(tag, { class: className }, inner) : inner), content);
}
