/** Background of new photos: shows and changes it. */

import { useId } from "preact/hooks";
import { html } from "../../html.js";
import { want, wanted } from "../../state/wanted.js";

const KINDS = [
  { value: "auto", label: "A background chosen for me" },
  { value: "keep", label: "Their own background" },
  { value: "transparent", label: "A transparent background" },
  { value: "color", label: "A color" },
  { value: "blur", label: "Their own background, blurred" },
  { value: "keywords", label: "A background by keywords" },
];

/** label: text before the choice. */
export function Wanted({ label = "New photos get" }) {
  const id = useId();
  const { kind, color, blur, keywords } = wanted.value;
  return html`<div class="wanted">
    <label for=${id}>${label}</label>
    <select class="select" id=${id} onChange=${(event) => want({ kind: event.currentTarget.value })}>
      ${KINDS.map(({ value, label }) => html`<option key=${value} value=${value}
        selected=${value === kind}>${label}</option>`)}
    </select>
    ${kind === "color" && html`<input class="input swatch" type="color" aria-label="Color"
      value=${color} onInput=${(event) => want({ color: event.currentTarget.value })} />`}
    ${kind === "blur" && html`<input class="range" type="range" aria-label="Blur" min="0.1" max="1"
      step="0.1" value=${blur} onInput=${(event) => want({ blur: Number(event.currentTarget.value) })} />`}
    ${kind === "keywords" && html`<input class="input" type="text" aria-label="Keywords"
      placeholder="beach, sunset" value=${keywords} maxlength="200"
      onInput=${(event) => want({ keywords: event.currentTarget.value })} />`}
  </div>`;
}
