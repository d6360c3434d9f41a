/** Messages: errors next to their subject, and toasts near the lower edge, where they cover no control. */

import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { html } from "../html.js";
import { Button } from "./button.js";
import { Coded } from "./coded.js";
import { Icon } from "./icon.js";

const SHOWN_MS = 8000;
// Toasts move up by such steps until nothing to press is behind them.
const STEP_PX = 8;
const PRESSED = "a, button, input, select, textarea, summary, [role=tab]";
// A taller one, such as a picture, can be pressed next to a toast.
const TALLEST_PX = 120;
const toasts = signal([]);
let number = 0;

/** An error and its remedy. error: a Problem, Away, or `{title, detail?, remedy?}`. */
export function Trouble({ error, children }) {
  return html`<div class="notice poor" role="alert">
    <${Icon} name="alert" />
    <div class="stack tight">
      <p class="title"><${Coded} text=${error.title ?? "Something went wrong in this page"} /></p>
      ${error.detail && html`<p><${Coded} text=${error.detail} /></p>`}
      ${error.remedy && html`<p><${Coded} text=${error.remedy} /></p>`}
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
  const area = useRef(null);
  useLayoutEffect(() => {
    if (toasts.value.length === 0) return undefined;
    const place = () => moveClear(area.current);
    place();
    // The page may change, too, while a toast is shown.
    const timer = setInterval(place, 250);
    addEventListener("scroll", place, { passive: true });
    return () => {
      clearInterval(timer);
      removeEventListener("scroll", place);
    };
  }, [toasts.value]);
  return html`<div class="toasts" role="status" aria-live="polite" ref=${area}>
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

/** Move the toasts to the lowest place that covers no control, or leave them where there is none. */
function moveClear(area) {
  area.style.translate = "";
  const boxes = Array.from(area.children, (toast) => toast.getBoundingClientRect());
  const top = Math.min(...boxes.map((box) => box.top));
  const pressed = Array.from(document.querySelectorAll(PRESSED))
    .filter((control) => !area.contains(control) && control.checkVisibility())
    .map((control) => control.getBoundingClientRect())
    .filter((box) => box.height <= TALLEST_PX);
  const isClear = (up) => boxes.every((box) => pressed.every((other) =>
    other.bottom <= box.top - up || other.top >= box.bottom - up
      || other.right <= box.left || other.left >= box.right));
  for (let up = 0; up < top; up += STEP_PX) {
    if (isClear(up)) {
      area.style.translate = `0 ${-up}px`;
      return;
    }
  }
}

function act(toast) {
  drop(toast);
  toast.action.run();
}

function drop(toast) {
  toasts.value = toasts.value.filter((other) => other !== toast);
}
