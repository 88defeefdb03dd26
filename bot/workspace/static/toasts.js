// Short notices in the corner, and the count in the title.
import { h } from "./dom.js";
import { renderMrkdwn } from "./mrkdwn.js";
import { store } from "./store.js";

let open = () => {};

/** What happens when a notice is clicked. */
export function onOpen(listener) {
  open = listener;
}

/** Show a notice for a few seconds. */
export function toast({ title, body, channel, ts, thread_ts: threadTs }) {
  const ctx = { users: store.users, channels: store.channels, usergroups: store.usergroups };
  const box = h("button", { type: "button", class: "toast", onclick: () => { box.remove(); if (channel) open(channel, threadTs ?? ts); } },
    h("strong", {}, title ?? "New message"), h("span", { class: "toast-body" }, renderMrkdwn((body ?? "").slice(0, 200), ctx)));
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), 8000);
  if (globalThis.Notification?.permission === "granted" && document.hidden) new Notification(title ?? "New message", { body });
}

/** Take all notices away: they were somebody else's. */
export function clearToasts() {
  document.getElementById("toasts").replaceChildren();
}

/** Say something to screen readers only. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Unread mentions in the tab's title. */
export function titleBadge() {
  const count = [...store.channels.values()].reduce((sum, channel) => sum + (channel.mentions || 0), 0);
  const place = store.channels.get(store.channel)?.name ?? "";
  document.title = `${count ? `(${count}) ` : ""}${place ? `${place} · ` : ""}${store.team?.name ?? "Local workspace"}`;
}
