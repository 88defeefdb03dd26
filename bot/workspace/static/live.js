// The WebSocket that keeps the page up to date, and comes back by itself.
import { boot, changed, drop, loadChannel, loadThread, put, setClock, store } from "./store.js";
import { toast } from "./toasts.js";
import * as modals from "./modals.js";

let socket = null;
let attempt = 0;
let inspecting = false;
const onTraffic = new Set();

/** Listen to the traffic; the server sends it only while somebody does. */
export function inspect(on, listener) {
  inspecting = on;
  onTraffic.clear();
  if (on) onTraffic.add(listener);
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "inspect", on }));
}

/** Connect as the current person; again after every loss. */
export function connect() {
  socket?.close();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const mine = new WebSocket(`${scheme}://${location.host}/client/ws?user=${store.me.id}`);
  socket = mine;
  mine.addEventListener("open", async () => {
    const lost = attempt > 0;
    attempt = 0;
    document.body.classList.remove("offline");
    if (inspecting) mine.send(JSON.stringify({ type: "inspect", on: true }));
    if (lost) {
      await boot(store.me.id);
      if (store.channel) await loadChannel(store.channel);
      if (store.thread) await loadThread(store.channel, store.thread);
    }
  });
  mine.addEventListener("message", (event) => handle(JSON.parse(event.data)));
  mine.addEventListener("close", () => {
    if (socket !== mine) return;
    document.body.classList.add("offline");
    attempt += 1;
    setTimeout(() => socket === mine && connect(), Math.min(5000, 250 * 2 ** attempt));
  });
}

function touched(channel, message) {
  if (channel !== store.channel) return;
  changed("messages");
  const root = message?.thread_ts ?? message?.ts;
  if (store.thread && (!message || root === store.thread)) changed("thread");
}

function handle(frame) {
  switch (frame.type) {
    case "message": case "message_changed": case "ephemeral": case "ephemeral_changed":
      put(frame.channel, { ...frame.message, ephemeral: frame.type.startsWith("ephemeral") || frame.message.ephemeral });
      touched(frame.channel, frame.message);
      break;
    case "message_deleted": case "ephemeral_deleted":
      drop(frame.channel, frame.ts);
      touched(frame.channel);
      break;
    case "view": modals.open(frame.view); break;
    case "view_changed": modals.update(frame.view); break;
    case "view_closed": modals.closed(frame.view_id, frame.all); break;
    case "home":
      if (frame.bot_user_id === store.homeOf) { store.homeView = frame.view; changed("home"); }
      break;
    case "channel":
      store.channels.set(frame.channel.id, frame.channel);
      changed("channels");
      break;
    case "pins": {
      const channel = store.channels.get(frame.channel);
      if (channel) { channel.pins = frame.pins; changed("channels"); }
      break;
    }
    case "unread": {
      const channel = store.channels.get(frame.channel);
      if (channel) { channel.unread = frame.unread; channel.mentions = frame.mentions; changed("channels"); }
      break;
    }
    case "notification": toast(frame); break;
    case "error":
      store.problems.set(frame.ts ?? frame.view_id ?? "", frame.message);
      if (frame.ts) touched(frame.channel); else toast({ title: "Slack", body: frame.message });
      break;
    case "app":
      store.apps = store.apps.map((app) => (app.app_id === frame.app.app_id ? frame.app : app));
      if (!store.apps.some((app) => app.app_id === frame.app.app_id)) store.apps.push(frame.app);
      changed("apps");
      break;
    case "app_gone":
      store.apps = store.apps.filter((app) => app.app_id !== frame.app_id);
      changed("apps");
      break;
    case "clock": setClock(frame.now); break;
    case "traffic": for (const listener of onTraffic) listener(frame.entry); break;
    default: break;
  }
}
