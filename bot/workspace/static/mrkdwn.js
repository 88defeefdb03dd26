// Slack's mrkdwn as DOM nodes: own tokenizer, text only ever becomes text nodes.
import { emojiOf } from "./emoji.js";
import { h } from "./dom.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };

/** Entities decoded. */
export function decode(text) {
  return String(text ?? "").replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);
}

/** Plain text with emoji shortcodes shown. */
export function renderPlain(text) {
  const fragment = document.createDocumentFragment();
  emojiText(fragment, decode(text));
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
      inline(target, group.lines.join("\n"), ctx);
      if (group.quote) fragment.append(target);
    }
  }
  return fragment;
}

function splitPre(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(/```([\s\S]+?)```/g)) {
    if (match.index > at) parts.push({ text: text.slice(at, match.index) });
    parts.push({ pre: match[1].replace(/^\n|\n$/g, "") });
    at = match.index + match[0].length;
  }
  if (at < text.length) parts.push({ text: text.slice(at) });
  return parts;
}

function quoteGroups(text) {
  const groups = [];
  for (const line of text.split("\n")) {
    const quote = /^(?:&gt;|>)\s?/.exec(line);
    const last = groups.at(-1);
    const body = quote ? line.slice(quote[0].length) : line;
    if (last && last.quote === Boolean(quote)) last.lines.push(body);
    else groups.push({ quote: Boolean(quote), lines: [body] });
  }
  return groups;
}

const MARKS = { "*": "strong", _: "em", "~": "s" };
const BOUNDARY = /[\s\p{P}\p{S}\u2060\u200b]/u;

function inline(parent, text, ctx) {
  let plain = "";
  const flush = () => {
    if (plain) emojiText(parent, decode(plain));
    plain = "";
  };
  let at = 0;
  while (at < text.length) {
    const char = text[at];
    if (char === "<") {
      const end = text.indexOf(">", at);
      const node = end > at + 1 ? angle(text.slice(at + 1, end), ctx) : null;
      if (node) {
        flush();
        parent.append(node);
        at = end + 1;
        continue;
      }
    }
    if (char === "\n") {
      flush();
      parent.append(h("br"));
      at += 1;
      continue;
    }
    if (char === "`") {
      const end = text.indexOf("`", at + 1);
      const code = end > at + 1 ? text.slice(at + 1, end) : "";
      if (code && !code.includes("\n")) {
        flush();
        parent.append(h("code", { class: "mk-code" }, decode(plainAngles(code))));
        at = end + 1;
        continue;
      }
    }
    if (char in MARKS) {
      const end = closing(text, at);
      if (end) {
        flush();
        const styled = h(MARKS[char]);
        inline(styled, text.slice(at + 1, end), ctx);
        parent.append(styled);
        at = end + 1;
        continue;
      }
    }
    plain += char;
    at += 1;
  }
  flush();
}

/** Where the formatting begun at `at` ends, or 0: only whole words on one line, as in Slack. */
function closing(text, at) {
  const mark = text[at];
  const before = text[at - 1];
  if (before !== undefined && !BOUNDARY.test(before)) return 0;
  const next = text[at + 1];
  if (next === undefined || /\s/.test(next) || next === mark) return 0;
  for (let end = at + 2; end < text.length; end += 1) {
    if (text[end] === "\n") return 0;
    if (text[end] === "<") {
      const close = text.indexOf(">", end);
      if (close > 0) end = close;
      continue;
    }
    if (text[end] !== mark || /\s/.test(text[end - 1])) continue;
    const after = text[end + 1];
    if (after === undefined || (BOUNDARY.test(after) && after !== mark)) return end;
  }
  return 0;
}

function plainAngles(text) {
  return text.replace(/<((?:https?|mailto):[^>|]+)(?:\|([^>]*))?>/g, (_, url, label) => label || url);
}

/** What stands between angle brackets: a mention, a link, a date; null for anything else. */
function angle(source, ctx) {
  const bar = source.indexOf("|");
  const target = bar < 0 ? source : source.slice(0, bar);
  const label = bar < 0 ? "" : source.slice(bar + 1);
  if (target.startsWith("@")) return mention(target.slice(1), label, ctx);
  if (target.startsWith("#")) return channelLink(target.slice(1), label, ctx);
  if (target.startsWith("!date^")) return date(target.slice(6), label, ctx);
  if (target.startsWith("!subteam^")) return chip(label || `@${ctx.usergroups?.get(target.slice(9))?.handle ?? "group"}`);
  if (target.startsWith("!")) return chip(`@${label || target.slice(1)}`);
  if (/^(https?|mailto):/i.test(target)) return link(decode(target), label, ctx);
  return null;
}

function chip(text, attributes = {}) {
  return h("span", { class: "mention", ...attributes }, decode(text));
}

export function mention(id, label, ctx) {
  const user = ctx.users?.get(id);
  const name = user ? user.display_name || user.real_name || user.name : label || id;
  const mine = ctx.me === id ? " mention-me" : "";
  return h("button", { type: "button", class: `mention${mine}`, onclick: () => ctx.openUser?.(id) }, `@${decode(name)}`);
}

export function channelLink(id, label, ctx) {
  const name = ctx.channels?.get(id)?.name ?? label ?? id;
  return h("button", { type: "button", class: "mention", onclick: () => ctx.openChannel?.(id) }, `#${decode(name || id)}`);
}

export function link(url, label, ctx) {
  const anchor = h("a", { href: url, target: "_blank", rel: "noreferrer noopener" });
  if (label) inline(anchor, label, ctx);
  else anchor.append(url);
  anchor.addEventListener("click", (event) => {
    if (ctx.openLink?.(url)) event.preventDefault();
  });
  return anchor;
}

function date(source, fallback, ctx) {
  const [stamp, format, url] = source.split("^");
  const text = formatDate(Number(stamp), format ?? "{date_short_pretty} {time}", ctx) ?? decode(fallback);
  const node = h("time", { datetime: Number.isFinite(Number(stamp)) ? new Date(Number(stamp) * 1000).toISOString() : null }, text);
  return url ? h("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, node) : node;
}

/** Slack's date tokens in the reader's time zone; null where the stamp is no number. */
export function formatDate(stamp, format, ctx) {
  if (!Number.isFinite(stamp)) return null;
  const at = stamp * 1000;
  const tz = ctx.tz || undefined;
  const say = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: tz, ...options }).format(at);
  const key = (seconds) => new Intl.DateTimeFormat("en-CA", { timeZone: tz }).format(seconds * 1000);
  const now = ctx.now?.() ?? Date.now() / 1000;
  const near = { [key(now)]: "today", [key(now - 86400)]: "yesterday", [key(now + 86400)]: "tomorrow" }[key(stamp)];
  const pretty = (text) => near ?? text;
  const short = say({ day: "numeric", month: "short", year: "numeric" });
  const long = say({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
  const plain = say({ day: "numeric", month: "long", year: "numeric" });
  const seconds = Math.round(now - stamp);
  const tokens = {
    date_num: key(stamp), date_slash: key(stamp).replaceAll("-", "/"), date: plain, date_short: short, date_long: long,
    date_pretty: pretty(plain), date_short_pretty: pretty(short), date_long_pretty: pretty(long),
    date_long_full: long, day_divider_pretty: pretty(long),
    time: say({ hour: "2-digit", minute: "2-digit" }), time_secs: say({ hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    ago: seconds < 60 ? "just now" : seconds < 3600 ? `${Math.floor(seconds / 60)} minutes ago` : `${Math.floor(seconds / 3600)} hours ago`,
  };
  return decode(format).replace(/\{(\w+)\}/g, (whole, name) => tokens[name] ?? whole);
}

/** Text with `:shortcodes:` as emoji. */
export function emojiText(parent, text) {
  let at = 0;
  for (const match of text.matchAll(/:([a-z0-9_+-]+):(?::(skin-tone-[2-6]):)?/g)) {
    const character = emojiOf(match[1], match[2]);
    if (!character) continue;
    if (match.index > at) parent.append(text.slice(at, match.index));
    parent.append(h("span", { class: "emoji", role: "img", "aria-label": match[1].replaceAll("_", " "), title: match[0] }, character));
    at = match.index + match[0].length;
  }
  if (at < text.length) parent.append(text.slice(at));
}
