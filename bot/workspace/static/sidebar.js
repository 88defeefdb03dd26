// The left side: the workspace, its channels, direct messages and apps.
import { post } from "./api.js";
import { avatar, h } from "./dom.js";
import { changed, nameOf, store, user } from "./store.js";

/** Draw it; `openChannel(id)` and `openHome(app)` are what its entries do. */
export function renderSidebar(box, { openChannel, openHome }) {
  const channels = [...store.channels.values()].filter((one) => !one.is_im && (one.is_member || !one.is_private)).sort((a, b) => a.name.localeCompare(b.name));
  const direct = [...store.channels.values()].filter((one) => one.is_im && !user(one.user).is_bot);
  const entry = (channel, sign, label) => {
    const here = store.view === "channel" && store.channel === channel.id;
    return h("li", {}, h("button", {
      type: "button", class: `side-entry${here ? " here" : ""}${channel.unread ? " unread" : ""}`, "data-channel": channel.id,
      "aria-current": here ? "page" : null, onclick: () => openChannel(channel.id),
    }, h("span", { class: "side-sign", "aria-hidden": "true" }, sign), h("span", { class: "side-name" }, label),
    channel.mentions ? h("span", { class: "badge", "aria-label": `${channel.mentions} mentions` }, String(channel.mentions)) : null));
  };
  const apps = store.apps.map((app) => {
    const dm = [...store.channels.values()].find((one) => one.is_im && one.user === app.bot_user_id);
    const here = store.view === "home" && store.homeOf === app.bot_user_id;
    return h("li", {}, h("button", { type: "button", class: `side-entry${here ? " here" : ""}${dm?.unread ? " unread" : ""}`, "aria-current": here ? "page" : null, onclick: () => openHome(app) },
      h("span", { class: `dot${app.connected ? " on" : ""}`, title: app.connected ? "Connected" : "Not connected" }),
      h("span", { class: "side-name" }, app.name), h("span", { class: "sr-only" }, app.connected ? "connected" : "not connected"),
      dm?.mentions ? h("span", { class: "badge" }, String(dm.mentions)) : null));
  });
  const focused = document.activeElement?.closest?.(".side-entry")?.dataset.channel;
  box.replaceChildren(
    h("div", { class: "side-head" }, h("span", { class: "side-logo", "aria-hidden": "true" }, (store.team?.name ?? "W")[0]), h("strong", {}, store.team?.name ?? "")),
    h("nav", { "aria-label": "Channels and people" },
      group("Channels", channels.map((one) => entry(one, one.is_private ? "🔒" : "#", one.name)), h("button", { type: "button", class: "side-add", onclick: addChannel }, "+ Add a channel")),
      group("Direct messages", direct.map((one) => entry(one, avatar(user(one.user), 20), one.name || nameOf(user(one.user)))), null),
      group("Apps", apps, null)));
  if (focused) box.querySelector(`[data-channel="${CSS.escape(focused)}"]`)?.focus();
}

function group(title, entries, extra) {
  if (!entries.length && !extra) return null;
  return h("section", { class: "side-group" }, h("h2", {}, title), h("ul", {}, entries), extra);
}

async function addChannel() {
  const name = prompt("Name of the new channel (small letters, digits, - and _):")?.trim().toLowerCase().replace(/\s+/g, "-");
  if (!name) return;
  const answer = await post("/client/channel", { user: store.me.id, name });
  if (!answer.ok) alert(answer.message ?? answer.error);
  else { if (answer.channel?.id) store.channels.set(answer.channel.id, answer.channel); changed("channels"); }
}
