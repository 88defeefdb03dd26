// Forms: a stack of up to three, each a dialog that keeps the focus.
import { post } from "./api.js";
import { h, uid } from "./dom.js";
import { forget } from "./clientstate.js";
import { readState, renderBlocks, setErrors } from "./blocks.js";
import { renderPlain } from "./mrkdwn.js";
import { store } from "./store.js";
import { makeContext } from "./context.js";

const stack = [];

/** Open a form, or push one on top. */
export function open(view) {
  if (view.type !== "modal") return;
  const same = stack.findIndex((one) => one.view.id === view.id);
  if (same >= 0) { update(view); return; }
  const layer = build(view);
  layer.returnTo = document.activeElement;
  stack.push(layer);
  document.body.append(layer.backdrop);
  draw(layer);
  (layer.body.querySelector("[data-autofocus]") ?? layer.body.querySelector("input, textarea, button, select") ?? layer.submit ?? layer.close).focus();
}

/** A form changed while it is open. */
export function update(view) {
  const layer = stack.find((one) => one.view.id === view.id);
  if (!layer) return;
  layer.view = view;
  layer.backdrop.querySelector("h2").replaceChildren(renderPlain(view.title?.text ?? ""));
  buttons(layer);
  draw(layer);
}

/** Slack closed a form. */
export function closed(viewId, all) {
  let last = null;
  while (stack.length && (all || stack.some((one) => one.view.id === viewId))) {
    const layer = stack.pop();
    last = layer;
    forget(layer.ctx.key);
    layer.backdrop.remove();
    if (!all && layer.view.id === viewId) break;
  }
  // Back to what was pressed; on a form that was drawn anew meanwhile, to the form.
  if (last) (last.returnTo?.isConnected ? last.returnTo : stack.at(-1)?.close)?.focus();
}

/** Close every form without telling anybody, e.g. when the page acts as somebody else. */
export function clear() {
  for (const layer of stack.splice(0)) layer.backdrop.remove();
}

function build(view) {
  const titleId = uid("modal");
  const layer = { view, errors: {} };
  layer.ctx = makeContext("modal", `view:${view.id}`, (action) => post("/client/action", { user: store.me.id, container: { view_id: layer.view.id }, ...action }));
  layer.body = h("div", { class: "modal-body" });
  layer.problem = h("div", { class: "modal-problem", role: "alert" });
  layer.foot = h("div", { class: "modal-foot" });
  layer.close = h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => dismiss(layer) }, "✕");
  const box = h("div", { class: "modal", role: "dialog", "aria-modal": "true", "aria-labelledby": titleId },
    h("header", { class: "modal-head" }, h("h2", { id: titleId }, renderPlain(view.title?.text ?? "")), layer.close),
    layer.body, layer.problem, layer.foot);
  layer.backdrop = h("div", { class: "backdrop" }, box);
  buttons(layer);
  box.addEventListener("keydown", (event) => keys(event, layer, box));
  return layer;
}

function buttons(layer) {
  const { view } = layer;
  layer.submit = view.submit ? h("button", { type: "button", class: "bk-button bk-primary", onclick: () => submit(layer) }, renderPlain(view.submit.text)) : null;
  layer.foot.replaceChildren(h("button", { type: "button", class: "bk-button", onclick: () => dismiss(layer) }, renderPlain(view.close?.text ?? (view.submit ? "Cancel" : "Close"))), ...(layer.submit ? [layer.submit] : []));
}

function draw(layer) {
  renderBlocks(layer.body, layer.view.blocks, layer.ctx);
  setErrors(layer.body, layer.errors);
}

function keys(event, layer, box) {
  if (event.key === "Escape") { event.preventDefault(); dismiss(layer); return; }
  if (event.key === "Enter" && (event.metaKey || event.ctrlKey || (event.target.matches("input:not([type=checkbox]):not([type=radio]):not(.select-filter)")))) { event.preventDefault(); if (layer.submit) submit(layer); return; }
  if (event.key !== "Tab") return;
  const stops = [...box.querySelectorAll("a[href], button:not([disabled]), input, textarea, select, summary")].filter((one) => one.offsetParent);
  const edge = event.shiftKey ? stops[0] : stops.at(-1);
  if (document.activeElement === edge) { event.preventDefault(); (event.shiftKey ? stops.at(-1) : stops[0]).focus(); }
}

async function dismiss(layer) {
  const answer = await post("/client/view_close", { user: store.me.id, view_id: layer.view.id });
  if (!answer.ok) toastAside(layer, answer.message);
  closed(layer.view.id);
}

async function submit(layer) {
  if (layer.submit.disabled) return;
  layer.submit.disabled = true;
  layer.submit.classList.add("busy");
  layer.problem.textContent = "";
  const answer = await post("/client/view_submit", { user: store.me.id, view_id: layer.view.id, state: readState(layer.ctx, layer.view.blocks) });
  layer.submit.disabled = false;
  layer.submit.classList.remove("busy");
  layer.errors = answer.errors ?? {};
  setErrors(layer.body, layer.errors);
  if (!answer.ok && !Object.keys(layer.errors).length) toastAside(layer, answer.message);
}

function toastAside(layer, message) {
  layer.problem.textContent = message ?? "Something went wrong. Please try again.";
}
