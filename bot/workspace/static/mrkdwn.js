// Slack's mrkdwn as DOM nodes: own tokenizer, text only ever becomes text nodes.
import { emojiOf } from "./emoji.js";
import { formatDate } from "./dates.js";
import { h } from "./dom.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
/** Deeper formatting than this is shown as typed. */
const MAX_DEPTH = 12;

/** Entities decoded. */
export function decode(text) {
  return String(text ?? "").replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);
}

/** Plain text with emoji shortcodes shown and lines kept. */
export function renderPlain(text) {
  const fragment = document.createDocumentFragment();
  decode(text).split("\n").forEach((line, at) => {
    if (at) fragment.append(h("br"));
    emojiText(fragment, line);
  });
  return fragment;
}

/** mrkdwn with formatting, mentions, links, dates and emoji. Never throws on odd input. */
export function renderMrkdwn(text, ctx) {
  const fragment = document.createDocumentFragment();
  for (const part of splitPre(String(text ?? ""))) {
    if (part.pre !== undefined) {
      fragment.append(h("pre", { class: "mk-pre" }, decode(plainAngles(part.pre))));
      continue;
    }
    for (const group of quoteGroups(part.text)) {
      const target = group.quote ? h("blockquote", { class: "mk-quote" }) : fragment;
      inline(target, group.lines.join("\n"), ctx ?? {});
      if (group.quote) fragment.append(target);
    }
  }
  return fragment;
}

/** Fenced parts apart from the rest; the line breaks around a fence belong to it. */
function splitPre(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(/```([\s\S]*?[^\s`][\s\S]*?)```\n?/g)) {
    if (match.index > at) parts.push({ text: text.slice(at, match.index).replace(/\n$/, "") });
    parts.push({ pre: match[1].replace(/^\n|\n$/g, "") });
    at = match.index + match[0].length;
  }
  if (at < text.length) parts.push({ text: text.slice(at) });
  return parts;
}

/** Lines that are quoted apart from those that are not; `>>>` quotes all that follows. */
function quoteGroups(text) {
  const groups = [];
  let rest = false;
  for (const line of text.split("\n")) {
    const all = rest ? null : /^(?:&gt;|>){3} ?/.exec(line);
    rest ||= Boolean(all);
    const one = all ?? (rest ? null : /^(?:&gt;|>) ?/.exec(line));
    const quote = rest || Boolean(one);
    const body = one ? line.slice(one[0].length) : line;
    const last = groups.at(-1);
    if (last && last.quote === quote) last.lines.push(body);
    else groups.push({ quote, lines: [body] });
  }
  return groups;
}

const MARKS = { "*": "strong", _: "em", "~": "s" };
const BOUNDARY = /[\s\p{P}\p{S}\u2060\u200b]/u;

function inline(parent, text, ctx, depth = 0) {
  let plain = "";
  const flush = () => {
    if (plain) linkedText(parent, plain, ctx);
    plain = "";
  };
  const put = (node, next) => {
    flush();
    parent.append(node);
    return next;
  };
  let at = 0;
  while (at < text.length) {
    const char = text[at];
    const end = spanEnd(text, at);
    if (char === "\n") {
      at = put(h("br"), at + 1);
      continue;
    }
    if (char === "<" && end) {
      const node = angle(text.slice(at + 1, end), ctx);
      if (node) {
        at = put(node, end + 1);
        continue;
      }
    }
    if (char === "`" && end) {
      at = put(h("code", { class: "mk-code" }, decode(plainAngles(text.slice(at + 1, end)))), end + 1);
      continue;
    }
    if (char in MARKS && depth < MAX_DEPTH) {
      const close = closing(text, at);
      if (close) {
        const styled = h(MARKS[char]);
        inline(styled, text.slice(at + 1, close), ctx, depth + 1);
        at = put(styled, close + 1);
        continue;
      }
    }
    plain += char;
    at += 1;
  }
  flush();
}

/** Where the code or the angle brackets begun at `at` end, on the same line; 0 where they do not. */
function spanEnd(text, at) {
  const closer = { "<": ">", "`": "`" }[text[at]];
  if (!closer) return 0;
  const end = text.indexOf(closer, at + 1);
  if (end <= at + 1) return 0;
  const line = text.indexOf("\n", at + 1);
  return line < 0 || line > end ? end : 0;
}

/** Where the formatting begun at `at` ends, or 0: only whole words on one line, as in Slack. */
function closing(text, at) {
  const mark = text[at];
  const before = text[at - 1];
  if (before !== undefined && (before === mark || !BOUNDARY.test(before))) return 0;
  const next = text[at + 1];
  if (next === undefined || /\s/.test(next) || next === mark) return 0;
  for (let end = at + 1; end < text.length && text[end] !== "\n"; end += 1) {
    const skip = spanEnd(text, end);
    if (skip) {
      end = skip;
      continue;
    }
    if (end === at + 1 || text[end] !== mark || /\s/.test(text[end - 1])) continue;
    const after = text[end + 1];
    if (after === undefined || (BOUNDARY.test(after) && after !== mark)) return end;
  }
  return 0;
}

/** Links inside code show their label. */
function plainAngles(text) {
  return text.replace(/<((?:https?|mailto):[^>|]+)(?:\|([^>]*))?>/g, (_, url, label) => label || url);
}

/** What stands between angle brackets: a mention, a link, a date; null for anything else. */
function angle(source, ctx) {
  const bar = source.indexOf("|");
  const target = bar < 0 ? source : source.slice(0, bar);
  const label = bar < 0 ? "" : source.slice(bar + 1);
  if (/^@\w/.test(target)) return mention(target.slice(1), label, ctx);
  if (/^#\w/.test(target)) return channelLink(target.slice(1), label, ctx);
  if (target.startsWith("!date^")) return date(target.slice(6), label, ctx);
  if (target.startsWith("!subteam^")) return group(target.slice(9), label, ctx);
  if (/^!\w/.test(target)) return chip(atSign(label || target.slice(1)));
  if (safeUrl(decode(target))) return link(decode(target), label, ctx);
  return null;
}

const atSign = (name) => (name.startsWith("@") ? name : `@${name}`);

/** A mention that leads nowhere. */
export function chip(text) {
  return h("span", { class: "mention" }, decode(text));
}

/** A user group's mention. */
export function group(id, label, ctx) {
  const known = ctx.usergroups?.get?.(id);
  return chip(atSign(label || known?.handle || known?.name || "group"));
}

/** A person's mention; it stands out where it is oneself. */
export function mention(id, label, ctx) {
  const user = ctx.users?.get?.(id);
  const name = user ? user.display_name || user.real_name || user.name : decode(label) || id;
  const mine = ctx.me === id ? " mention-me" : "";
  return h("button", { type: "button", class: `mention${mine}`, onclick: () => ctx.openUser?.(id) }, atSign(name));
}

/** A channel's name, leading there. */
export function channelLink(id, label, ctx) {
  const name = ctx.channels?.get?.(id)?.name ?? (decode(label) || id);
  return h("button", { type: "button", class: "mention", onclick: () => ctx.openChannel?.(id) }, `#${name}`);
}

/** The address where following it does no harm (no `javascript:`), else null. */
export function safeUrl(url) {
  return /^(?:https?:\/\/|mailto:|tel:|slack:\/\/)\S/i.test(url ?? "") ? url : null;
}

/** A link; its label is mrkdwn, or plain where `plain` says so. */
export function link(url, label, ctx, { plain = false } = {}) {
  const anchor = h("a", { href: safeUrl(url), target: "_blank", rel: "noreferrer noopener" });
  if (!label) anchor.append(String(url ?? ""));
  else if (plain) anchor.append(label);
  else inline(anchor, label, { ...ctx, linked: true }, MAX_DEPTH - 2);
  anchor.addEventListener("click", (event) => {
    if (safeUrl(url) && ctx.openLink?.(url)) event.preventDefault();
  });
  return anchor;
}

/** A date in the reader's time zone, or its fallback. */
export function dateNode(stamp, format, url, fallback, ctx) {
  const text = formatDate(stamp, format, ctx) ?? fallback;
  const at = new Date(Number(stamp) * 1000);
  const valid = stamp !== "" && !Number.isNaN(at.getTime());
  const node = h("time", { datetime: valid ? at.toISOString() : null, title: valid ? formatDate(stamp, "{date_long} {time_secs}", ctx) : null }, text);
  return safeUrl(url) ? h("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, node) : node;
}

function date(source, fallback, ctx) {
  const [stamp, format, ...url] = source.split("^");
  return dateNode(stamp, decode(format || "{date_short_pretty} {time}"), decode(url.join("^")), decode(fallback), ctx);
}

/** Text in which addresses typed plainly are links. */
function linkedText(parent, source, ctx) {
  const text = decode(source);
  if (ctx.linked) return emojiText(parent, text);
  let at = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>|]*[^\s<>|.,;:!?)\]'"*_~]/g)) {
    emojiText(parent, text.slice(at, match.index));
    parent.append(link(match[0], "", ctx));
    at = match.index + match[0].length;
  }
  emojiText(parent, text.slice(at));
}

/** Text with `:shortcodes:` as emoji. */
export function emojiText(parent, text) {
  let at = 0;
  for (const match of text.matchAll(/:([a-z0-9_+'-]+):(?::(skin-tone-[2-6]):)?/g)) {
    const node = emojiNode(match[1], match[2]);
    if (!node) continue;
    if (match.index > at) parent.append(text.slice(at, match.index));
    parent.append(node);
    at = match.index + match[0].length;
  }
  if (at < text.length) parent.append(text.slice(at));
}

/** One emoji, or null where the name is not known. */
export function emojiNode(name, tone) {
  const character = emojiOf(name, tone);
  if (!character) return null;
  return h("span", { class: "emoji", role: "img", "aria-label": name.replaceAll("_", " "), title: `:${name}:` }, character);
}
