// The drawer that shows what goes over the wire, switches faults on, and moves the clock.
import { get, post, remove } from "./api.js";
import { h } from "./dom.js";
import { inspect } from "./live.js";
import { now, store, watch } from "./store.js";

const FAULTS = [
  ["Slack answers 429 (chat.update, 2 s)", { kind: "api", method: "chat.update", mode: "ratelimited", retry_after: 2, times: 3 }],
  ["Slack answers 503", { kind: "api", method: "*", mode: "status", status: 503, times: 3 }],
  ["Slack is slow (4 s)", { kind: "api", method: "*", mode: "slow", seconds: 4, times: 5 }],
  ["The answer to a post is lost", { kind: "api", method: "chat.postMessage", mode: "lost_answer", times: 1 }],
  ["A post is dropped on its way", { kind: "api", method: "chat.postMessage", mode: "drop", times: 1 }],
  ["Deliver twice", { kind: "delivery", mode: "duplicate", type: "*", times: 10 }],
  ["Deliver out of order", { kind: "delivery", mode: "reorder", type: "*", times: 10 }],
  ["Lose a delivery", { kind: "delivery", mode: "drop", type: "*", times: 1 }],
  ["Cut the socket", { kind: "socket", mode: "abort", times: 1 }],
  ["Close the socket politely", { kind: "socket", mode: "disconnect", times: 1 }],
  ["The socket goes deaf", { kind: "socket", mode: "deaf", seconds: 60 }],
  ["Refuse new sockets", { kind: "socket", mode: "refuse", times: 3 }],
];

let drawer = null;
let entries = [];
let filter = "";
let tab = "Traffic";

/** Open or close the drawer. */
export function toggleInspector() {
  if (drawer) { inspect(false); drawer.remove(); drawer = null; return; }
  drawer = h("aside", { class: "inspector", "aria-label": "Inspector" });
  document.querySelector(".page").append(drawer);
  entries = [];
  inspect(true, (entry) => { entries.push(entry); if (entries.length > 500) entries.shift(); if (tab === "Traffic") row(entry); });
  draw();
  get("/control/traffic", { limit: 200 }).then((answer) => { entries = answer.entries ?? []; if (drawer && tab === "Traffic") draw(); });
}

function draw() {
  if (!drawer) return;
  const tabs = h("div", { class: "tabs", role: "tablist" }, ["Traffic", "Faults", "Clock"].map((name) =>
    h("button", { type: "button", role: "tab", class: "tab", "aria-selected": String(tab === name), onclick: () => { tab = name; draw(); } }, name)));
  const body = h("div", { class: "inspector-body" });
  drawer.replaceChildren(h("header", { class: "pane-head" }, h("strong", {}, "Inspector"), tabs, h("button", { type: "button", class: "icon-button", "aria-label": "Close the inspector", onclick: toggleInspector }, "✕")), body);
  ({ Traffic: traffic, Faults: faults, Clock: clockTab })[tab](body);
}

function traffic(body) {
  const input = h("input", { class: "bk-input", placeholder: "Filter, e.g. chat.update", "aria-label": "Filter the traffic" });
  input.value = filter;
  input.addEventListener("input", () => { filter = input.value; list.replaceChildren(); entries.forEach(row); });
  const list = h("ol", { class: "traffic" });
  body.append(input, list);
  entries.forEach(row);
}

function row(entry) {
  const list = drawer?.querySelector(".traffic");
  if (!list || (filter && !JSON.stringify([entry.name, entry.kind, entry.status, entry.note]).toLowerCase().includes(filter.toLowerCase()))) return;
  const bad = Number(entry.status) >= 400 || ["timeout", "error", "failed"].includes(entry.status) || entry.response?.ok === false;
  const inward = entry.direction.startsWith("slack");
  const line = h("details", { class: bad ? "bad" : "" }, h("summary", {},
    h("span", { class: inward ? "in" : "out", title: entry.direction }, inward ? "⇣" : "⇡"), h("span", { class: "traffic-name" }, entry.name), h("span", { class: "traffic-status" }, String(entry.status ?? "")), h("span", { class: "dim" }, entry.ms === undefined || entry.ms === null ? "" : `${Math.round(entry.ms)} ms`)));
  line.addEventListener("toggle", () => {
    if (!line.open || line.children.length > 1) return;
    const show = (title, value) => h("div", {}, h("div", { class: "dim" }, title), h("pre", { class: "mk-pre" }, JSON.stringify(value, null, 2) ?? ""));
    line.append(entry.note ? h("p", {}, entry.note) : "", show("Request", entry.request), show("Response", entry.response));
    line.scrollIntoView({ block: "nearest" });
  });
  const atBottom = list.parentElement.scrollHeight - list.parentElement.scrollTop - list.parentElement.clientHeight < 60;
  list.append(h("li", {}, line));
  if (atBottom) list.parentElement.scrollTop = list.parentElement.scrollHeight;
}

async function faults(body) {
  const active = (await get("/control/faults")).faults ?? [];
  body.replaceChildren(
    h("p", { class: "dim" }, "Make the workspace misbehave, and see whether the app copes."),
    h("div", { class: "fault-list" }, FAULTS.map(([name, fault]) => h("button", { type: "button", class: "bk-button", onclick: async () => { await post("/control/faults", fault); faults(body); } }, name))),
    h("h3", {}, "Switched on"),
    active.length ? h("ul", { class: "fault-on" }, active.map((fault) => h("li", {}, h("code", { class: "mk-code" }, [fault.kind, fault.method ?? fault.type ?? "", fault.mode].filter(Boolean).join(" · ")), h("button", { type: "button", class: "link-button", onclick: async () => { await remove("/control/faults", { id: fault.id }); faults(body); } }, "Switch off")))) : h("p", { class: "dim" }, "Nothing."),
    active.length ? h("button", { type: "button", class: "bk-button", onclick: async () => { await remove("/control/faults"); faults(body); } }, "Switch everything off") : "");
}

/** Move the workspace's time. */
export function forward(seconds) {
  return post("/client/forward", { seconds });
}

function clockTab(body) {
  const time = h("p", { class: "clock" });
  const show = () => { time.textContent = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "medium", timeZone: store.me.tz }).format(now() * 1000); };
  show();
  const steps = [["Forward 15 min", 900], ["Forward 1 h", 3600], ["Forward 1 day", 86400]];
  body.replaceChildren(time, store.canForward ? h("div", { class: "fault-list" }, steps.map(([name, seconds]) => h("button", { type: "button", class: "bk-button", onclick: async () => { await forward(seconds); show(); } }, name))) : h("p", { class: "dim" }, "The app here keeps its own time, so the clock cannot be moved."));
}

watch((what) => { if (what === "clock" && drawer && tab === "Clock") draw(); });
