// Confirm dialogs, as Block Kit's confirm objects ask for.
import { h } from "./dom.js";
import { renderMrkdwn, renderPlain } from "./mrkdwn.js";

/** Asks; resolves to true where the person confirmed. */
export function confirmDialog(confirm, ctx = {}) {
  return new Promise((resolve) => {
    const text = confirm.text?.type === "mrkdwn" ? renderMrkdwn(confirm.text.text, ctx) : renderPlain(confirm.text?.text);
    const finish = (value) => () => { dialog.close(); dialog.remove(); resolve(value); };
    const danger = confirm.style === "danger";
    const dialog = h("dialog", { class: "confirm", "aria-label": confirm.title?.text ?? "Are you sure?" },
      h("h2", {}, renderPlain(confirm.title?.text ?? "Are you sure?")),
      h("p", {}, text),
      h("div", { class: "confirm-buttons" },
        h("button", { type: "button", class: "bk-button", onclick: finish(false) }, renderPlain(confirm.deny?.text ?? "Cancel")),
        h("button", { type: "button", class: `bk-button ${danger ? "bk-danger" : "bk-primary"}`, onclick: finish(true) }, renderPlain(confirm.confirm?.text ?? "Yes"))));
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); finish(false)(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
