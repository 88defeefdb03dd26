// Confirm dialogs, as Block Kit's confirm objects ask for.
import { h, uid } from "./dom.js";
import { renderMrkdwn, renderPlain } from "./mrkdwn.js";

/** Asks; resolves to true where the person confirmed. */
export function confirmDialog(confirm, ctx = {}) {
  return new Promise((resolve) => {
    const { title, text, style } = confirm;
    const [titleId, textId] = [uid("confirm"), uid("confirm")];
    const finish = (answer) => { dialog.close(); dialog.remove(); resolve(answer); };
    const button = (label, look, answer) => h("button", { type: "button", class: `bk-button ${look}`, onclick: () => finish(answer) }, renderPlain(label));
    const yes = button(confirm.confirm?.text ?? "Yes", style === "danger" ? "bk-danger bk-filled" : "bk-primary", true);
    const dialog = h("dialog", { class: "confirm", "aria-labelledby": titleId, "aria-describedby": textId },
      h("h2", { id: titleId }, renderPlain(title?.text ?? "Are you sure?")),
      h("div", { class: "bk-text", id: textId }, text?.type === "mrkdwn" ? renderMrkdwn(text.text, ctx) : renderPlain(text?.text)),
      h("div", { class: "confirm-buttons" }, button(confirm.deny?.text ?? "Cancel", "", false), yes));
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); finish(false); });
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    document.body.append(dialog);
    dialog.showModal();
    yes.focus();
  });
}
