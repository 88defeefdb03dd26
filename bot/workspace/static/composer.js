// Where people type: messages, slash commands, and completion for both.
import { post } from "./api.js";
import { h, uid } from "./dom.js";
import { EMOJI } from "./emoji.js";
import { shortcutMenu } from "./shortcuts.js";
import { nameOf, store } from "./store.js";

export class Composer {
  /** `label()` names the place, `place()` gives `{channel, thread_ts?}`. */
  constructor({ label, place }) {
    this.place = place;
    this.drafts = new Map();
    this.key = "";
    this.entries = [];
    this.active = 0;
    const listId = uid("complete");
    this.input = h("textarea", { rows: "1", "aria-label": label(), placeholder: label(), "aria-autocomplete": "list", "aria-controls": listId, spellcheck: "false" });
    this.label = label;
    this.list = h("div", { id: listId, class: "popup complete", role: "listbox", hidden: true });
    this.problem = h("div", { class: "composer-problem", role: "alert" });
    this.send = h("button", { type: "button", class: "send", "aria-label": "Send", onclick: () => this.submit() }, "➤");
    this.shortcuts = shortcutMenu({ label: "Shortcuts", sign: "⚡", className: "composer-tool", type: "global", place: () => ({}) });
    this.node = h("div", { class: "composer" }, this.list, h("div", { class: "composer-box" }, this.shortcuts, this.input, this.send), this.problem);
    this.input.addEventListener("input", () => { this.grow(); this.complete(); this.problem.textContent = ""; });
    this.input.addEventListener("keydown", (event) => this.keys(event));
    this.input.addEventListener("blur", () => setTimeout(() => { this.list.hidden = true; }, 150));
  }

  /** Show the draft of another place; nothing typed is ever lost. */
  moveTo(key) {
    if (key === this.key) return;
    this.drafts.set(this.key, this.input.value);
    this.key = key;
    this.input.value = this.drafts.get(key) ?? "";
    this.input.setAttribute("aria-label", this.label());
    this.input.placeholder = this.label();
    this.problem.textContent = "";
    this.list.hidden = true;
    this.grow();
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 220)}px`;
    this.send.disabled = !this.input.value.trim();
  }

  keys(event) {
    if (!this.list.hidden && this.entries.length) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        this.active = (this.active + (event.key === "ArrowDown" ? 1 : this.entries.length - 1)) % this.entries.length;
        this.mark();
        return;
      }
      const exact = this.entries[this.active]?.insert.trim() === this.input.value.trim();
      if (event.key === "Tab" || (event.key === "Enter" && !event.shiftKey && !exact)) { event.preventDefault(); this.take(this.entries[this.active]); return; }
      if (event.key === "Escape") { event.preventDefault(); this.list.hidden = true; return; }
    }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.submit(); }
  }

  complete() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    const word = /(?:^|\s)([@#:][\p{L}\p{N}_+-]*)$/u.exec(before)?.[1] ?? "";
    this.entries = [];
    if (/^\/\S*$/.test(before)) {
      for (const command of [...store.commands, ...store.apps.flatMap((app) => app.commands)]) if (command.command.startsWith(before)) this.entries.push({ label: command.command, hint: command.usage_hint, about: command.description, insert: `${command.command} `, from: 0 });
    } else if (word.length >= 1) {
      const query = word.slice(1).toLowerCase();
      const from = before.length - word.length;
      if (word[0] === "@") for (const one of store.users.values()) if ([one.name, one.real_name, one.display_name].some((name) => name?.toLowerCase().startsWith(query))) this.entries.push({ label: `@${nameOf(one)}`, about: one.real_name, insert: `@${one.name} `, from });
      if (word[0] === "#") for (const one of store.channels.values()) if (!one.is_im && one.name.startsWith(query)) this.entries.push({ label: `#${one.name}`, about: one.topic, insert: `#${one.name} `, from });
      if (word[0] === ":" && query.length >= 2) for (const [name, sign] of EMOJI) if (name.startsWith(query)) this.entries.push({ label: `${sign} :${name}:`, insert: `:${name}: `, from });
    }
    this.entries = this.entries.slice(0, 8);
    this.active = 0;
    this.list.replaceChildren(...this.entries.map((entry) => h("div", { class: "complete-entry", role: "option", id: uid("entry"), onmousedown: (event) => { event.preventDefault(); this.take(entry); } },
      h("strong", {}, entry.label), entry.hint ? h("span", { class: "complete-hint" }, ` ${entry.hint}`) : null, entry.about ? h("span", { class: "dim complete-about" }, entry.about) : null)));
    this.list.hidden = !this.entries.length;
    this.mark();
  }

  mark() {
    [...this.list.children].forEach((row, at) => { row.classList.toggle("active", at === this.active); row.setAttribute("aria-selected", String(at === this.active)); });
    const row = this.list.children[this.active];
    if (row) this.input.setAttribute("aria-activedescendant", row.id); else this.input.removeAttribute("aria-activedescendant");
  }

  take(entry) {
    const at = this.input.selectionStart;
    const value = this.input.value;
    this.input.value = value.slice(0, entry.from) + entry.insert + value.slice(at);
    this.input.selectionStart = this.input.selectionEnd = entry.from + entry.insert.length;
    this.list.hidden = true;
    this.grow();
    this.input.focus();
  }

  async submit() {
    const text = this.input.value.trim();
    if (!text) return;
    this.list.hidden = true;
    this.problem.textContent = "";
    this.input.value = "";
    this.grow();
    const command = text.startsWith("/") && !text.startsWith("//");
    const answer = await post(command ? "/client/command" : "/client/message", { user: store.me.id, text, ...this.place() });
    if (answer.ok) return;
    this.problem.textContent = answer.message ?? answer.error ?? "That could not be sent.";
    if (!this.input.value) { this.input.value = text; this.grow(); }
  }
}
