/** Messages: errors next to their subject, and toasts at the lower edge. */

import { signal } from "@preact/signals";
import { html } from "../html.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";

const SHOWN_MS = 8000;
const toasts = signal([]);
let number = 0;

/** An error and its remedy. error: a Problem, Away, or `{title, detail?, remedy?}`. */
export function Trouble({ error, children }) {
  return html`<div class="notice poor" role="alert">
    <${Icon} name="alert" />
    <div class="stack tight">
      <h3>${error.title ?? "Something went wrong in this page"}</h3>
      ${error.detail && html`<p>${error.detail}</p>`}
      ${error.remedy && html`<p>${error.remedy}</p>`}
      ${children && html`<div class="row wrap">${children}</div>`}
    </div>
  </div>`;
}

/** Show a toast. action: `{label, run, until}`, such as undo, which may be offered until a time (ms). */
export function say(words, action) {
  const toast = { id: ++number, words, action };
  toasts.value = [...toasts.value.slice(-2), toast];
  setTimeout(() => drop(toast), action?.until ? action.until - Date.now() : SHOWN_MS);
}

/** Show an error as a toast. */
export function sayTrouble(error) {
  if (error.name === "AbortError") return;
  say([error.title ?? error.message, error.detail, error.remedy].filter(Boolean).join(" — "));
}

/** Container of the toasts. */
export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(
      (toast) => html`<div class="toast" key=${toast.id}>
        <p>${toast.words}</p>
        ${toast.action && html`<${Button} kind="small" onClick=${() => act(toast)}>
          ${toast.action.label}<//>`}
        <${Button} kind="small quiet" icon="close" label="Dismiss" onClick=${() => drop(toast)} />
      </div>`,
    )}
  </div>`;
}

function act(toast) {
  drop(toast);
  toast.action.run();
}

function drop(toast) {
  toasts.value = toasts.value.filter((other) => other !== toast);
}
