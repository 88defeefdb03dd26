// rich_text blocks: sections, lists, quotes, preformatted text, and the leaves in them.
import { emojiOf } from "./emoji.js";
import { h } from "./dom.js";
import { channelLink, formatDate, link, mention, renderPlain } from "./mrkdwn.js";

export function renderRichText(block, ctx) {
  const box = h("div", { class: "rich" });
  for (const part of block.elements ?? []) box.append(piece(part, ctx));
  return box;
}

function piece(part, ctx) {
  switch (part.type) {
    case "rich_text_section": return h("div", { class: "rich-section" }, leaves(part, ctx));
    case "rich_text_quote": return h("blockquote", { class: "mk-quote" }, leaves(part, ctx));
    case "rich_text_preformatted": return h("pre", { class: "mk-pre" }, leaves(part, ctx));
    case "rich_text_list": {
      const list = h(part.style === "ordered" ? "ol" : "ul", { class: "rich-list" }, (part.elements ?? []).map((item) => h("li", {}, leaves(item, ctx))));
      list.style.marginLeft = `${(part.indent ?? 0) * 24}px`;
      if (part.style === "ordered" && part.offset) list.start = part.offset + 1;
      return list;
    }
    default: return h("div", { class: "bk-unsupported" }, `Unsupported: ${part.type}`);
  }
}

function leaves(part, ctx) {
  return (part.elements ?? []).map((leaf) => styled(leaf, node(leaf, ctx)));
}

function node(leaf, ctx) {
  switch (leaf.type) {
    case "text": return lines(leaf.text ?? "");
    case "link": return link(leaf.url, leaf.text ?? "", ctx);
    case "user": return mention(leaf.user_id, "", ctx);
    case "channel": return channelLink(leaf.channel_id, "", ctx);
    case "usergroup": return h("span", { class: "mention" }, `@${ctx.usergroups?.get(leaf.usergroup_id)?.handle ?? "group"}`);
    case "broadcast": return h("span", { class: "mention" }, `@${leaf.range}`);
    case "emoji": return h("span", { class: "emoji" }, emojiOf(leaf.name) ?? `:${leaf.name}:`);
    case "date": return h("time", {}, formatDate(leaf.timestamp, leaf.format ?? "{date_short_pretty} {time}", ctx) ?? leaf.fallback ?? "");
    case "color": { const dot = h("span", { class: "color-dot" }); dot.style.background = leaf.value; return h("span", {}, dot, ` ${leaf.value}`); }
    default: return renderPlain(leaf.text ?? "");
  }
}

function lines(text) {
  return text.split("\n").flatMap((line, at) => (at ? [h("br"), line] : [line]));
}

function styled(leaf, content) {
  const style = leaf.style ?? {};
  let wrapped = content;
  if (style.code) wrapped = h("code", { class: "mk-code" }, wrapped);
  if (style.strike) wrapped = h("s", {}, wrapped);
  if (style.italic) wrapped = h("em", {}, wrapped);
  if (style.bold) wrapped = h("strong", {}, wrapped);
  if (style.underline) wrapped = h("u", {}, wrapped);
  return wrapped;
}
