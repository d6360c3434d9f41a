/** Form fields, each with its label, a hint, and an error message. */

import { useId } from "preact/hooks";
import { html } from "../html.js";

/** A text input. wrong: the error message. Other properties go to the input. */
export function TextField({ label, hint, wrong, ...others }) {
  const id = useId();
  const said = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input class="input" id=${id} aria-invalid=${wrong ? "true" : undefined}
      aria-describedby=${said || undefined} ...${others} />
    ${hint && html`<span class="hint" id=${`${id}-hint`}>${hint}</span>`}
    ${wrong && html`<span class="wrong" id=${`${id}-wrong`}>${wrong}</span>`}
  </div>`;
}

/** A select. options: `[{value, label}]`. */
export function Select({ label, hint, options, value, onChange }) {
  const id = useId();
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <select class="select" id=${id} aria-describedby=${hint && `${id}-hint`}
      onChange=${(event) => onChange(event.currentTarget.value)}>
      ${options.map(
        (option) => html`<option key=${option.value} value=${option.value}
          selected=${option.value === value}>${option.label}</option>`,
      )}
    </select>
    ${hint && html`<span class="hint" id=${`${id}-hint`}>${hint}</span>`}
  </div>`;
}

/** A slider. shown: text for the value. onInput: called while it moves; onChange: after. */
export function Range({ label, value, shown, onInput, onChange, ...others }) {
  const id = useId();
  const number = (event) => Number(event.currentTarget.value);
  return html`<div>
    <div class="range-head"><label for=${id}>${label}</label>
      <output for=${id}>${shown ?? value}</output></div>
    <input class="range" id=${id} type="range" value=${value}
      onInput=${onInput && ((event) => onInput(number(event)))}
      onChange=${onChange && ((event) => onChange(number(event)))} ...${others} />
  </div>`;
}

/** A check box. hint: its effect, where the name does not say it. */
export function Check({ checked, onChange, hint, children }) {
  const id = useId();
  return html`<label class="check">
      <input type="checkbox" checked=${checked} aria-describedby=${hint && id}
        onChange=${(event) => onChange(event.currentTarget.checked)} />
      <span>${children}</span>
    </label>
    ${hint && html`<p class="check-hint" id=${id}>${hint}</p>`}`;
}
