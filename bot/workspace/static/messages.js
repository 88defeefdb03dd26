// A list of messages, of a channel or of a thread: only what changed is drawn again.
import { post } from "./api.js";
import { avatar, clock, day, h } from "./dom.js";
import { renderBlocks } from "./blocks.js";
import { emojiOf, EMOJI } from "./emoji.js";
import { renderMrkdwn } from "./mrkdwn.js";
import { shortcutMenu, shortcutsOf } from "./shortcuts.js";
import { drop, changed, isReply, nameOf, now, store, user } from "./store.js";
import { makeContext } from "./context.js";

const QUICK = ["+1", "eyes", "tada", "heart", "white_check_mark", "rocket"];

export class MessageList {
  /** `thread`: whether this is a thread pane; `openThread(ts)` opens one. */
  constructor(box, { thread, openThread }) {
    this.box = box;
    this.thread = thread;
    this.openThread = openThread;
    this.drawn = new Map();
    this.channel = null;
  }

  /** Draw these messages of this channel; stays at the bottom only where it was there. */
  show(channel, messages, { newSince, welcome } = {}) {
    const fresh = this.channel !== channel;
    if (fresh) { this.drawn.clear(); this.box.replaceChildren(); this.channel = channel; }
    const atBottom = fresh || this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 80;
    const wanted = [];
    let before = null;
    let divided = false;
    for (const message of messages) {
      if (!before || day(before.ts, store.me.tz, now()) !== day(message.ts, store.me.tz, now())) {
        wanted.push(this.divider(`day-${day(message.ts, store.me.tz, now())}`, day(message.ts, store.me.tz, now())));
        before = null;
      }
      if (newSince && !divided && !message.ephemeral && Number(message.ts) > Number(newSince) && message.user !== store.me.id) {
        wanted.push(this.divider("new", "New", "new-line"));
        divided = true;
        before = null;
      }
      wanted.push(this.article(message, before));
      before = message;
    }
    if (!wanted.length && welcome) wanted.push({ key: "welcome", node: welcome });
    this.arrange(wanted);
    for (const key of [...this.drawn.keys()]) if (!wanted.some((entry) => entry.key === key)) this.drawn.delete(key);
    if (atBottom) this.toBottom();
  }

  toBottom() {
    this.box.scrollTop = this.box.scrollHeight;
    requestAnimationFrame(() => { this.box.scrollTop = this.box.scrollHeight; });
  }

  /** Bring one message into view. */
  reveal(ts) {
    const node = this.box.querySelector(`[data-ts="${CSS.escape(ts)}"]`);
    node?.scrollIntoView({ block: "center" });
    node?.classList.add("revealed");
    setTimeout(() => node?.classList.remove("revealed"), 2000);
  }

  arrange(wanted) {
    let at = this.box.firstChild;
    for (const { node } of wanted) {
      if (node === at) at = at.nextSibling;
      else this.box.insertBefore(node, at);
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
  }

  divider(key, text, extra = "") {
    const kept = this.drawn.get(key) ?? { key, node: h("div", { class: `divider ${extra}`, role: "separator" }, h("span", {}, text)) };
    this.drawn.set(key, kept);
    return kept;
  }

  article(message, before) {
    const key = message.ts;
    const grouped = Boolean(before && before.user === message.user && !message.ephemeral === !before.ephemeral && message.ts - before.ts < 300 && !before.reply_count && !message.blocks);
    const problem = store.problems.get(message.ts) ?? "";
    const signature = JSON.stringify([message, grouped, problem, store.me.id]);
    let entry = this.drawn.get(key);
    if (entry?.signature === signature || (entry && store.frozen)) return entry;
    if (!entry) {
      entry = { key, node: h("article", { "data-ts": message.ts, "data-channel": this.channel }), content: h("div", { class: "content" }) };
      this.drawn.set(key, entry);
    }
    const blocks = JSON.stringify([message.blocks, message.text, message.files]);
    this.frame(entry, message, grouped, problem);
    if (entry.blocks !== blocks) this.fill(entry.content, message);
    entry.blocks = blocks;
    entry.signature = signature;
    return entry;
  }

  frame(entry, message, grouped, problem) {
    const author = user(message.user);
    const name = message.username ?? nameOf(author);
    const node = entry.node;
    node.className = `message${grouped ? " grouped" : ""}${message.ephemeral ? " ephemeral" : ""}`;
    if (message.ephemeral) node.dataset.ephemeral = "true";
    node.setAttribute("aria-label", `${name}, ${clock(message.ts, store.me.tz)}`);
    const time = h("time", { class: "time", title: new Date(message.ts * 1000).toLocaleString() }, clock(message.ts, store.me.tz));
    const head = grouped ? null : h("div", { class: "head" }, h("strong", { class: "name" }, name), author.is_bot || message.bot_id ? h("span", { class: "app-badge" }, "APP") : null, time);
    const focused = entry.content.contains(document.activeElement) ? document.activeElement : null;
    const parts = [
      grouped ? h("div", { class: "gutter" }, time) : h("div", { class: "gutter" }, avatar(author)),
      h("div", { class: "body" },
        message.ephemeral ? h("div", { class: "only-you" }, "👁 Only visible to you", h("button", { type: "button", class: "link-button", onclick: () => { drop(this.channel, message.ts); changed("messages"); changed("thread"); } }, "Dismiss")) : null,
        this.pinned(message), head, this.origin(message), entry.content,
        problem ? h("div", { class: "message-problem", role: "alert" }, `⚠ ${problem}`) : null,
        this.reactions(message), this.replies(message)),
      message.ephemeral ? null : this.toolbar(message),
    ];
    node.replaceChildren(...parts.filter(Boolean));
    focused?.focus({ preventScroll: true });
  }

  fill(content, message) {
    const ctx = makeContext(message.ephemeral ? "ephemeral" : "message", `${this.channel}:${message.ts}`, (action) => this.act(message, action));
    if (message.blocks?.length) renderBlocks(content, message.blocks, ctx);
    else {
      content.replaceChildren(h("div", { class: "bk-text" }, renderMrkdwn(message.text, ctx)));
      if (message.edited) content.firstChild.append(h("span", { class: "edited" }, " (edited)"));
    }
    for (const file of message.files ?? []) content.append(this.file(file, ctx));
  }

  file(file, ctx) {
    const url = file.url_private ?? file.permalink ?? "";
    if (!file.mimetype?.startsWith("image/")) return h("a", { class: "file", href: url, target: "_blank", rel: "noreferrer noopener" }, `📄 ${file.title ?? file.name}`);
    return h("figure", { class: "bk-figure" }, h("figcaption", {}, file.title ?? file.name),
      h("button", { type: "button", class: "bk-image-button", "aria-label": `Enlarge: ${file.title ?? file.name}`, onclick: () => ctx.openImage(url, file.alt_txt ?? file.title) }, h("img", { class: "bk-image", src: url, alt: file.alt_txt ?? file.title ?? "" })));
  }

  async act(message, action) {
    store.problems.delete(message.ts);
    return post("/client/action", { user: store.me.id, container: { channel: this.channel, ts: message.ts }, ...action });
  }

  /** Who pinned it, if anybody did. */
  pinned(message) {
    if (!message.pinned_info) return null;
    return h("div", { class: "pinned" }, `📌 Pinned by ${nameOf(user(message.pinned_info.pinned_by))}`);
  }

  /** A reply that is shown in the channel as well says which thread it belongs to. */
  origin(message) {
    if (this.thread || message.subtype !== "thread_broadcast") return null;
    return h("div", { class: "dim" }, "replied to ", h("button", { type: "button", class: "link-button", onclick: () => this.openThread(message.thread_ts) }, "a thread"));
  }

  reactions(message) {
    if (!message.reactions?.length) return null;
    return h("div", { class: "reactions" }, message.reactions.map((reaction) =>
      h("button", { type: "button", class: `reaction${reaction.users?.includes(store.me.id) ? " mine" : ""}`, "aria-label": `${reaction.name}, ${reaction.count}`, onclick: () => this.react(message, reaction.name) }, `${emojiOf(reaction.name) ?? `:${reaction.name}:`} ${reaction.count}`)));
  }

  react(message, name) {
    return post("/client/react", { user: store.me.id, channel: this.channel, ts: message.ts, name });
  }

  replies(message) {
    if (this.thread || !message.reply_count || isReply(message)) return null;
    return h("button", { type: "button", class: "reply-bar", onclick: () => this.openThread(message.ts) },
      h("span", { class: "reply-faces" }, (message.reply_users ?? []).slice(0, 4).map((id) => avatar(user(id), 22))),
      h("span", { class: "reply-count" }, `${message.reply_count} ${message.reply_count === 1 ? "reply" : "replies"}`),
      message.latest_reply ? h("span", { class: "dim" }, `Last reply ${clock(message.latest_reply, store.me.tz)}`) : null);
  }

  toolbar(message) {
    const bar = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Message actions" });
    const picker = h("div", { class: "popup emoji-popup", hidden: true });
    const pick = () => {
      picker.hidden = !picker.hidden;
      if (picker.children.length) return; // filled when it is first opened
      const names = QUICK.concat([...EMOJI.keys()].filter((_, at) => at % 9 === 0).slice(0, 42));
      picker.append(...names.map((name) => h("button", { type: "button", class: "emoji-choice", title: `:${name}:`, "aria-label": name, onclick: () => { picker.hidden = true; this.react(message, name); } }, emojiOf(name))));
    };
    const tool = (label, sign, onclick) => h("button", { type: "button", class: "tool", title: label, "aria-label": label, onclick }, sign);
    bar.append(tool("Add a reaction", "☺", pick));
    if (!this.thread) bar.append(tool("Reply in thread", "💬", () => this.openThread(message.thread_ts ?? message.ts)));
    bar.append(tool("Copy link", "🔗", () => navigator.clipboard?.writeText(`${location.origin}/archives/${this.channel}/p${message.ts.replace(".", "")}`)));
    if (shortcutsOf("message").length) bar.append(shortcutMenu({ label: "Message shortcuts", sign: "⋮", className: "tool", type: "message", place: () => ({ channel: this.channel, ts: message.ts }) }));
    bar.append(picker);
    return bar;
  }
}
