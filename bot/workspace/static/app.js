// The page: who acts, what is shown, and what is where.
import { get, post } from "./api.js";
import { avatar, h } from "./dom.js";
import { renderBlocks } from "./blocks.js";
import { Composer } from "./composer.js";
import { forward, toggleInspector } from "./inspector.js";
import { makeContext, openDoors } from "./context.js";
import { connect } from "./live.js";
import { MessageList } from "./messages.js";
import * as modals from "./modals.js";
import { renderSidebar } from "./sidebar.js";
import { boot, changed, currentChannel, loadChannel, loadThread, nameOf, rootsOf, store, threadOf, user, watch } from "./store.js";
import { setTheme, startTheme, theme } from "./theme.js";
import { quickSwitch } from "./switcher.js";
import { announce, clearToasts, onOpen, titleBadge } from "./toasts.js";

startTheme();

const parts = {};

function build() {
  parts.sidebar = h("aside", { class: "sidebar", "aria-label": "Workspace" });
  parts.head = h("header", { class: "pane-head channel-head" });
  parts.messages = h("div", { id: "messages", class: "messages", role: "log", "aria-label": "Messages", tabindex: "-1" });
  parts.home = h("div", { class: "messages home", hidden: true });
  parts.threadBox = h("div", { class: "messages", role: "log", "aria-label": "Replies" });
  parts.composer = new Composer({ label: () => `Message ${placeName()}`, place: () => ({ channel: store.channel }) });
  parts.threadComposer = new Composer({ label: () => "Reply in thread", place: () => ({ channel: store.channel, thread_ts: store.thread }) });
  parts.threadPane = h("aside", { class: "thread", "aria-label": "Thread", hidden: true },
    h("header", { class: "pane-head" }, h("div", {}, h("strong", {}, "Thread"), h("span", { class: "dim thread-place" })), h("button", { type: "button", class: "icon-button", "aria-label": "Close the thread", onclick: () => openThread(null) }, "✕")),
    parts.threadBox, parts.threadComposer.node);
  parts.main = h("main", { class: "main" }, parts.head, parts.messages, parts.home, parts.composer.node);
  parts.top = h("div", { class: "top" });
  document.getElementById("app").replaceChildren(h("div", { class: "page" }, parts.top, parts.sidebar, parts.main, parts.threadPane), h("div", { class: "offline-bar", role: "status" }, "Reconnecting…"));
  parts.list = new MessageList(parts.messages, { thread: false, openThread });
  parts.threadList = new MessageList(parts.threadBox, { thread: true, openThread });
}

function placeName() {
  const channel = currentChannel();
  return channel ? (channel.is_im ? channel.name : `#${channel.name}`) : "";
}

function address() {
  const query = new URLSearchParams({ user: store.me.id });
  if (store.channel) query.set("channel", store.channel);
  if (store.thread) query.set("thread", store.thread);
  history.replaceState(null, "", `/?${query}`);
}

export async function openChannel(id, { thread = null } = {}) {
  store.view = "channel";
  store.homeOf = null;
  store.channel = id;
  store.thread = null;
  store.newSince.set(id, store.channels.get(id)?.unread ? store.channels.get(id).last_read : null);
  parts.composer.moveTo(id);
  drawView();
  const answer = await loadChannel(id);
  if (!answer.ok) announce(answer.message ?? "That channel cannot be shown.");
  markShown();
  await openThread(thread);
  if (!thread) parts.composer.input.focus({ preventScroll: true });
}

export async function openThread(ts) {
  store.thread = ts;
  address();
  parts.threadPane.hidden = !ts;
  document.querySelector(".page").classList.toggle("with-thread", Boolean(ts));
  if (!ts) return;
  parts.threadComposer.moveTo(`${store.channel}:${ts}`);
  parts.threadPane.querySelector(".thread-place").textContent = ` ${placeName()}`;
  parts.threadList.channel = null;
  await loadThread(store.channel, ts);
  drawThread();
  parts.threadComposer.input.focus({ preventScroll: true });
}

/** The direct conversation with somebody, opened where there is none yet. */
async function openDirect(id) {
  let dm = [...store.channels.values()].find((one) => one.is_im && one.user === id);
  if (!dm && id !== store.me.id) {
    dm = (await post("/client/dm", { user: store.me.id, other: id })).channel;
    if (dm) store.channels.set(dm.id, dm);
  }
  if (dm) await openChannel(dm.id);
}

const jump = () => quickSwitch({ openChannel, openDirect });

async function openHome(app) {
  const dm = [...store.channels.values()].find((one) => one.is_im && one.user === app.bot_user_id);
  if (!app.home && dm) { await openChannel(dm.id); return; }
  store.view = "home";
  store.homeOf = app.bot_user_id;
  store.homeView = null;
  await openThread(null);
  drawView();
  const answer = await post("/client/home", { user: store.me.id, bot_user_id: app.bot_user_id });
  if (!answer.ok) announce(answer.message ?? "This home cannot be opened.");
  // The app may have drawn a newer one before this answer was here.
  if (store.homeOf === app.bot_user_id) store.homeView ??= answer.view ?? null;
  drawHome();
}

/** How far each person has read each channel and thread on this page, so that nothing is reported twice. */
const reading = new Map();
async function markRead(messages, threadTs) {
  const channel = currentChannel();
  const last = messages.filter((m) => !m.ephemeral).at(-1);
  const key = [store.me.id, store.channel, threadTs].join(" ");
  if (!channel || !last || document.hidden || Number(last.ts) <= (reading.get(key) ?? 0)) return;
  if (!channel.unread && !channel.mentions) return;
  reading.set(key, Number(last.ts));
  const answer = await post("/client/read", { user: store.me.id, channel: channel.id, ts: last.ts, thread_ts: threadTs });
  if (!answer.ok) { reading.delete(key); return; }
  // The socket may not be open yet: the answer says what is left, too.
  Object.assign(channel, { unread: answer.unread, mentions: answer.mentions });
  changed("channels");
}

/** What is on the screen has been read. */
function markShown() {
  if (store.view !== "channel") return;
  markRead(rootsOf(store.channel));
  if (store.thread) markRead(threadOf(store.channel, store.thread), store.thread);
}

function drawTop() {
  const people = [...store.users.values()].filter((one) => !one.is_bot);
  const menu = h("div", { class: "popup user-menu", role: "menu", hidden: true },
    h("div", { class: "dim menu-title" }, "Act as"),
    people.map((one) => h("button", { type: "button", role: "menuitemradio", "aria-checked": String(one.id === store.me.id), class: "popup-item", "data-user": one.id, onclick: () => { menu.hidden = true; actAs(one.id); } }, avatar(one, 24), ` ${one.real_name || nameOf(one)}`, one.id === store.me.id ? " ✓" : "")),
    h("hr", {}),
    h("label", { class: "popup-item" }, freezeBox(), " Freeze this screen"),
    h("div", { class: "dim menu-hint" }, "Frozen, the page shows what it showed: act from a stale screen."));
  const me = h("button", { type: "button", class: "act-as", "aria-haspopup": "menu", "aria-label": `Acting as ${nameOf(store.me)}; switch`, onclick: () => { menu.hidden = !menu.hidden; } }, avatar(store.me, 26), h("span", {}, store.me.real_name || nameOf(store.me)), h("span", { "aria-hidden": "true" }, "▾"));
  const box = h("div", { class: "popup-anchor" }, me, menu);
  box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget)) setTimeout(() => { menu.hidden = true; }, 150); });
  box.addEventListener("keydown", (event) => { if (event.key === "Escape") { menu.hidden = true; me.focus(); } });
  const ahead = Math.round(store.offset / 60);
  parts.top.replaceChildren(
    h("span", { class: "top-title" }, "Local workspace"),
    ahead ? h("span", { class: "chip" }, `⏩ clock is ${ahead >= 1440 ? `${Math.round(ahead / 1440)} d` : ahead >= 60 ? `${Math.round(ahead / 60)} h` : `${ahead} min`} ahead`) : "",
    store.frozen ? h("span", { class: "chip frozen" }, "❄ frozen screen") : "",
    h("button", { type: "button", class: "top-button", onclick: jump }, "Jump to… ", h("kbd", {}, "Ctrl K")),
    h("button", { type: "button", class: "top-button", onclick: () => setTheme(theme() === "dark" ? "light" : "dark"), "aria-label": "Switch between light and dark" }, "◐"),
    h("button", { type: "button", class: "top-button", onclick: toggleInspector }, "Inspector"),
    box);
}

function freezeBox() {
  const input = h("input", { type: "checkbox", checked: store.frozen });
  input.addEventListener("change", () => freeze(input.checked));
  return input;
}

export async function freeze(on) {
  store.frozen = Boolean(on);
  drawTop();
  if (!on && store.channel) { changed("messages"); changed("thread"); }
}

async function actAs(id) {
  modals.clear();
  clearToasts();
  const { channel, thread } = store;
  const answer = await boot(id);
  if (!answer.ok) return;
  connect();
  drawTop();
  const stays = channel && store.channels.get(channel) && !(store.channels.get(channel).is_im);
  parts.list.channel = null;
  await openChannel(stays ? channel : firstChannel(), { thread: stays ? thread : null });
}

function firstChannel() {
  const open = [...store.channels.values()].filter((one) => !one.is_im && one.is_member).sort((a, b) => a.name.localeCompare(b.name));
  return open[0]?.id ?? [...store.channels.keys()][0];
}

function drawView() {
  const home = store.view === "home";
  parts.messages.hidden = home;
  parts.composer.node.hidden = home;
  parts.home.hidden = !home;
  drawHead();
  renderSidebar(parts.sidebar, { openChannel, openHome });
  titleBadge();
}

function drawHead() {
  if (store.view === "home") {
    const app = store.apps.find((one) => one.bot_user_id === store.homeOf);
    const dm = [...store.channels.values()].find((one) => one.is_im && one.user === store.homeOf);
    parts.head.replaceChildren(h("h1", {}, app?.name ?? ""), h("div", { class: "tabs", role: "tablist" }, h("button", { type: "button", role: "tab", class: "tab", "aria-selected": "true" }, "Home"), dm ? h("button", { type: "button", role: "tab", class: "tab", "aria-selected": "false", onclick: () => openChannel(dm.id) }, "Messages") : ""));
    return;
  }
  const channel = currentChannel();
  if (!channel) return;
  const apps = channel.is_im ? [] : store.apps.filter(() => !channel.bot_is_member);
  parts.head.replaceChildren(
    h("h1", {}, channel.is_im ? channel.name : [h("span", { class: "dim", "aria-hidden": "true" }, channel.is_private ? "🔒" : "#"), ` ${channel.name}`]),
    h("span", { class: "dim topic" }, channel.topic ?? ""),
    ...apps.map((app) => h("button", { type: "button", class: "bk-button small", onclick: () => post("/client/invite", { user: store.me.id, channel: channel.id, member: app.bot_user_id }) }, `Add ${app.name}`)),
    channel.pins?.length ? pinsMenu(channel) : "",
    channel.members ? h("span", { class: "dim members" }, `👥 ${channel.members.length ?? channel.members}`) : "");
}

/** What is pinned in the channel, the newest first; each leads to its message. */
function pinsMenu(channel) {
  const said = `${channel.pins.length} pinned`;
  const list = h("div", { class: "popup pins-menu", role: "menu", "aria-label": "Pinned messages", hidden: true });
  const toggle = h("button", { type: "button", class: "link-button", "aria-haspopup": "menu", onclick: () => {
    list.replaceChildren(...[...channel.pins].reverse().map((ts) => {
      const message = rootsOf(channel.id).find((one) => one.ts === ts);
      return h("button", { type: "button", role: "menuitem", class: "popup-item", onclick: () => { list.hidden = true; parts.list.reveal(ts); } }, (message?.text ?? "A message further up").slice(0, 80));
    }));
    list.hidden = !list.hidden;
  } }, `📌 ${said}`);
  const box = h("span", { class: "popup-anchor pins" }, toggle, list);
  box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget)) list.hidden = true; });
  box.addEventListener("keydown", (event) => { if (event.key === "Escape") { list.hidden = true; toggle.focus(); } });
  return box;
}

function drawHome() {
  const view = store.homeView;
  if (!view) { parts.home.replaceChildren(h("p", { class: "dim empty" }, "This app has not drawn its home tab yet.")); return; }
  renderBlocks(parts.home, view.blocks, makeContext("home", `view:${view.id}`, (action) => post("/client/action", { user: store.me.id, container: { view_id: view.id }, ...action })));
}

function drawMessages() {
  if (!store.channel || store.view !== "channel") return;
  parts.list.show(store.channel, rootsOf(store.channel), { newSince: store.newSince.get(store.channel), welcome: welcome() });
  markShown();
}

/** What stands in an empty channel: where one is, and what can be typed. */
function welcome() {
  const channel = currentChannel();
  const here = store.apps.filter((app) => channel?.is_im ? app.bot_user_id === channel.user : channel?.bot_is_member);
  return h("div", { class: "welcome" }, h("h2", {}, `This is the very beginning of ${placeName()}`),
    here.flatMap((app) => app.commands).map((command) => h("p", {}, "Type ", h("code", { class: "mk-code" }, `${command.command} ${command.usage_hint ?? ""}`.trim()), h("span", { class: "dim complete-about" }, command.description))));
}

function drawThread() {
  if (!store.thread) return;
  parts.threadList.show(store.channel, threadOf(store.channel, store.thread));
  markShown();
}

function lightbox(src, alt) {
  const dialog = h("dialog", { class: "lightbox", "aria-label": alt ?? "Image", onclick: () => { dialog.close(); dialog.remove(); } }, h("img", { src, alt: alt ?? "" }));
  document.body.append(dialog);
  dialog.showModal();
}

/** Permalinks of this workspace open in the page. */
function openPermalink(url) {
  const target = new URL(url, location.href);
  const found = /^\/archives\/([^/]+)(?:\/p(\d+)(\d{6}))?$/.exec(target.pathname);
  if (target.origin !== location.origin || !found) return false;
  goTo(found[1], found[2] ? `${found[2]}.${found[3]}` : null, target.searchParams.get("thread_ts"));
  return true;
}

async function goTo(channel, ts, threadTs) {
  await openChannel(channel, { thread: threadTs ?? ts });
  if (ts) parts.list.reveal(threadTs ?? ts);
  if (ts && threadTs) parts.threadList.reveal(ts);
}

watch((what) => {
  if (!parts.main) return; // not built yet
  if (what === "channels" || what === "apps") drawView();
  if (what === "channels") markShown();
  if (store.frozen && (what === "messages" || what === "thread")) return;
  if (what === "messages") drawMessages();
  if (what === "thread") drawThread();
  if (what === "home") drawHome();
  if (what === "clock") drawTop();
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); jump(); }
});
document.addEventListener("visibilitychange", markShown);

/** Whoever the address names is not here: say so, and let one be chosen instead of being somebody else unnoticed. */
async function askWho(asked) {
  const { people = [] } = await get("/client/people");
  const as = (one) => { const there = new URL(location.href); there.searchParams.set("user", one.name); return there.href; };
  document.getElementById("app").replaceChildren(h("main", { class: "welcome" },
    h("h1", {}, asked ? `There is nobody called “${asked}” here` : "Who are you?"),
    h("p", {}, "Act as:"),
    h("ul", {}, people.map((one) => h("li", {}, h("a", { href: as(one) }, one.real_name || nameOf(one)), h("span", { class: "dim" }, ` @${one.name}`))))));
}

async function start() {
  const query = new URLSearchParams(location.search);
  const archive = /^\/archives\/([^/]+)(?:\/p(\d+)(\d{6}))?$/.exec(location.pathname);
  const saved = sessionStorage.getItem("workspace-user");
  const asked = query.get("user");
  let answer = await boot(asked ?? saved ?? "UANA0000001");
  if (!answer.ok && !asked) answer = await boot("UANA0000001");
  if (answer.error === "user_not_found") { await askWho(asked); return; }
  if (!answer.ok) { document.getElementById("app").textContent = answer.message ?? "The workspace does not answer."; return; }
  sessionStorage.setItem("workspace-user", store.me.id);
  build();
  openDoors({ channel: (id) => openChannel(id), link: openPermalink, image: lightbox, user: openDirect });
  onOpen((channel, ts) => goTo(channel, ts));
  drawTop();
  connect();
  if (archive) await goTo(archive[1], archive[2] ? `${archive[2]}.${archive[3]}` : null, query.get("thread_ts"));
  else await openChannel(store.channels.has(query.get("channel")) ? query.get("channel") : firstChannel(), { thread: query.get("thread") });
  document.body.dataset.ready = "true";
}

window.workspace = { freeze, forward, state: () => store, get, user };
start();
