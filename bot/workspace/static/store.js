// What this page knows: people, channels, messages, and which of them it shows.
import { get } from "./api.js";

export const store = {
  me: null, team: null, users: new Map(), channels: new Map(), usergroups: new Map(), apps: [], commands: [],
  channel: null, thread: null, view: "channel", homeOf: null, homeView: null,
  messages: new Map(), ephemerals: new Map(), problems: new Map(),
  offset: 0, canForward: false, frozen: false, newSince: new Map(),
};

const watchers = new Set();

/** Be told what changed: `channels`, `messages`, `thread`, `view`, `apps`, `clock`, `home`. */
export function watch(listener) {
  watchers.add(listener);
}

let queued = null;

/** Tell everybody, once per turn of the event loop. */
export function changed(what, detail) {
  queued ??= new Map();
  queued.set(what, detail);
  if (queued.size === 1) queueMicrotask(() => {
    const now = queued;
    queued = null;
    for (const [name, about] of now) for (const listener of watchers) listener(name, about);
  });
}

/** The workspace's time, in seconds. */
export function now() {
  return Date.now() / 1000 + store.offset;
}

export function currentChannel() {
  return store.channels.get(store.channel);
}

export function user(id) {
  return store.users.get(id) ?? { id, name: id, display_name: id, initials: "?", color: "777777" };
}

export function nameOf(person) {
  return person.display_name || person.real_name || person.name;
}

/** Read everything again, as this person. */
export async function boot(asUser) {
  const answer = await get("/client/boot", { user: asUser ?? "" });
  if (!answer.ok) return answer;
  store.me = answer.me;
  store.team = answer.team;
  store.users = new Map(answer.users.map((one) => [one.id, one]));
  store.channels = new Map(answer.channels.map((one) => [one.id, one]));
  store.usergroups = new Map(answer.usergroups.map((one) => [one.id, one]));
  store.apps = answer.apps;
  store.commands = answer.commands;
  setClock(answer.now);
  store.canForward = answer.can_forward;
  store.messages.clear();
  store.ephemerals.clear();
  changed("channels");
  changed("apps");
  return answer;
}

export function setClock(at) {
  store.offset = at - Date.now() / 1000;
  changed("clock");
}

function bucket(map, channel) {
  if (!map.has(channel)) map.set(channel, new Map());
  return map.get(channel);
}

/** Keep a message; those only for me live beside the others. */
export function put(channel, message) {
  bucket(message.ephemeral ? store.ephemerals : store.messages, channel).set(message.ts, message);
}

export function drop(channel, ts) {
  store.messages.get(channel)?.delete(ts);
  store.ephemerals.get(channel)?.delete(ts);
}

export async function loadChannel(channel) {
  const answer = await get("/client/history", { user: store.me.id, channel, limit: 200 });
  if (!answer.ok) return answer;
  const roots = bucket(store.messages, channel);
  for (const [ts, message] of roots) if (!isReply(message)) roots.delete(ts);
  const whispers = bucket(store.ephemerals, channel);
  for (const [ts, message] of whispers) if (!message.thread_ts) whispers.delete(ts);
  for (const message of answer.messages) put(channel, message);
  changed("messages");
  return answer;
}

export async function loadThread(channel, ts) {
  const answer = await get("/client/thread", { user: store.me.id, channel, ts });
  if (!answer.ok) return answer;
  for (const bucket_ of [store.messages.get(channel), store.ephemerals.get(channel)]) {
    for (const [key, message] of bucket_ ?? []) if (message.thread_ts === ts && key !== ts) bucket_.delete(key);
  }
  for (const message of answer.messages) put(channel, message);
  changed("thread");
  return answer;
}

export function isReply(message) {
  return Boolean(message.thread_ts && message.thread_ts !== message.ts);
}

const inOrder = (a, b) => (Number(a.ts) - Number(b.ts)) || (a.ts < b.ts ? -1 : 1);

function all(channel) {
  return [...(store.messages.get(channel)?.values() ?? []), ...(store.ephemerals.get(channel)?.values() ?? [])];
}

/** The channel's messages with those only I see. */
export function rootsOf(channel) {
  return all(channel).filter((m) => !isReply(m) || m.reply_broadcast || m.subtype === "thread_broadcast").sort(inOrder);
}

/** A thread: its root and the replies. */
export function threadOf(channel, ts) {
  return all(channel).filter((m) => m.ts === ts || m.thread_ts === ts).sort(inOrder);
}
