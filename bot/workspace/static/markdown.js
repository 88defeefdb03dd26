// The markdown block: the everyday part of Markdown as DOM nodes, without ever parsing text as HTML.
import { h } from "./dom.js";
import { emojiText, link, safeUrl } from "./mrkdwn.js";

/** Headings, paragraphs, lists, quotes, code, tables and rules. */
export function renderMarkdown(text, ctx) {
  return h("div", { class: "md" }, blocks(String(text ?? "").replaceAll("\r\n", "\n").split("\n"), ctx, 0));
}

const FENCE = /^ {0,3}(```+|~~~+)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const starts = (line) => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

/** Lines as blocks; deeper than eight levels they stay text. */
function blocks(lines, ctx, depth) {
  const nodes = [];
  let at = 0;
  const take = (fits) => {
    const from = at;
    while (at < lines.length && fits(lines[at], at - from)) at += 1;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (!line.trim()) at += 1;
    else if (fence) {
      at += 1;
      const code = take((one) => !one.trim().startsWith(fence[1]));
      at += 1;
      nodes.push(h("pre", { class: "mk-pre" }, code.join("\n")));
    } else if (heading) {
      at += 1;
      nodes.push(h(`h${Math.min(6, heading[1].length + 2)}`, { class: `md-h md-h${heading[1].length}` }, spans(heading[2], ctx)));
    } else if (RULE.test(line)) {
      at += 1;
      nodes.push(h("hr", { class: "bk-divider" }));
    } else if (QUOTE.test(line) && depth < 8) {
      const quoted = take((one) => QUOTE.test(one)).map((one) => one.replace(QUOTE, ""));
      nodes.push(h("blockquote", { class: "mk-quote" }, blocks(quoted, ctx, depth + 1)));
    } else if (ITEM.test(line) && depth < 8) {
      const ordered = /\d/.test(ITEM.exec(line)[2]);
      const own = indentOf(line);
      const items = take((one, index) => !index || (one.trim() ? indentOf(one) > own || (ITEM.test(one) && /\d/.test(ITEM.exec(one)[2]) === ordered) : indentOf(lines[at + 1] ?? "") > own || ITEM.test(lines[at + 1] ?? "")));
      nodes.push(list(items, ordered, own, ctx, depth));
    } else if (line.includes("|") && TABLE_RULE.test(lines[at + 1] ?? "") && lines[at + 1].includes("-")) {
      nodes.push(table(take((one) => one.includes("|") && one.trim()), ctx));
    } else {
      const text = take((one, index) => !index || (one.trim() && !starts(one)));
      nodes.push(h("p", { class: "md-p" }, text.flatMap((one, index) => [index ? h("br") : null, ...spans(one.trim(), ctx)])));
    }
  }
  return nodes;
}

const indentOf = (line) => (line.trim() ? /^\s*/.exec(line)[0].replaceAll("\t", "    ").length : 0);

function list(lines, ordered, own, ctx, depth) {
  const items = [];
  for (const line of lines) {
    const found = indentOf(line) <= own ? ITEM.exec(line) : null;
    if (found) items.push([found[3]]);
    else items.at(-1)?.push(line.trim() ? line.slice(Math.min(indentOf(line), own + 2)) : "");
  }
  const node = h(ordered ? "ol" : "ul", { class: "md-list" }, items.map(([first, ...rest]) => {
    const task = /^\[([ xX])\]\s+(.*)$/.exec(first);
    const sign = task ? h("input", { type: "checkbox", disabled: true, checked: task[1] !== " ", "aria-label": task[1] === " " ? "Not done" : "Done" }) : null;
    return h("li", { class: task ? "md-task" : "" }, sign, spans(task ? task[2] : first, ctx), blocks(rest, ctx, depth + 1));
  }));
  const first = ordered ? Number.parseInt(lines[0].trim(), 10) : 1;
  if (ordered && first !== 1) node.start = first;
  return node;
}

function table(lines, ctx) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
  const aligned = cells(lines[1]).map((rule) => (rule.endsWith(":") ? (rule.startsWith(":") ? "center" : "right") : "left"));
  const row = (tag) => (line) => h("tr", {}, cells(line).map((cell, column) => {
    const node = h(tag, {}, spans(cell, ctx));
    node.style.textAlign = aligned[column] ?? "left";
    return node;
  }));
  return h("div", { class: "bk-table", tabindex: "0", role: "region", "aria-label": "Table" },
    h("table", {}, h("thead", {}, row("th")(lines[0])), h("tbody", {}, lines.slice(2).map(row("td")))));
}

/** What may stand in a line, first come first served. */
const SPANS = [
  [/\\([\\`*_{}[\]()#+.!|~>-])/y, (found) => found[1]],
  [/(`+)(.+?)\1(?!`)/y, (found) => h("code", { class: "mk-code" }, found[2].trim() || found[2])],
  [/!?\[([^\]]*)\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)/y, (found, ctx) => (safeUrl(found[2]) ? link(found[2], found[1] || found[2], ctx, { plain: true }) : found[0])],
  [/<?(https?:\/\/[^\s<>]*[^\s<>.,;:!?)\]'"*_~|])>?/y, (found, ctx) => link(found[1], "", ctx)],
  [/\*\*(?=\S)(.+?)(?<=\S)\*\*(?!\*)/y, (found, ctx, depth) => h("strong", {}, spans(found[1], ctx, depth))],
  [/__(?=\S)(.+?)(?<=\S)__(?!\w)/y, (found, ctx, depth) => h("strong", {}, spans(found[1], ctx, depth))],
  [/~~(?=\S)(.+?)(?<=\S)~~/y, (found, ctx, depth) => h("s", {}, spans(found[1], ctx, depth))],
  [/\*(?=[^\s*])(.+?)(?<=[^\s*])\*(?!\*)/y, (found, ctx, depth) => h("em", {}, spans(found[1], ctx, depth))],
  [/(?<!\w)_(?=[^\s_])(.+?)(?<=[^\s_])_(?!\w)/y, (found, ctx, depth) => h("em", {}, spans(found[1], ctx, depth))],
];
const OPENERS = "\\`![<h*_~";

function spans(text, ctx, depth = 0) {
  const box = document.createDocumentFragment();
  let plain = "";
  let at = 0;
  while (at < text.length) {
    const found = depth < 8 && OPENERS.includes(text[at]) ? span(text, at) : null;
    if (!found) {
      plain += text[at];
      at += 1;
      continue;
    }
    const node = found.make(found.match, ctx, depth + 1);
    at += found.match[0].length;
    if (typeof node === "string") { plain += node; continue; }
    emojiText(box, plain);
    plain = "";
    box.append(node);
  }
  emojiText(box, plain);
  return [...box.childNodes];
}

function span(text, at) {
  for (const [pattern, make] of SPANS) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) return { match, make };
  }
  return null;
}
