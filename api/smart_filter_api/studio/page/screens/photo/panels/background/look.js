/** How the people are blended with the background, and filters on top. */

import { Button } from "../../../../controls/button.js";
import { Check, Select } from "../../../../controls/fields.js";
import { html } from "../../../../html.js";
import { change } from "../../../../state/changes.js";
import { Filters } from "./filters.js";
import { Share } from "./share.js";

const SHADOWS = [
  { value: "auto", label: "Automatic" },
  { value: "none", label: "None" },
  { value: "drop", label: "Soft, behind the people" },
  { value: "contact", label: "Under the feet" },
];
// The service's own default.
const SHADOW = 0.5;
const LIGHT_WRAP = 0.15;
const HARMONIZE = 0.5;
const OUTLINE = { width: 1.5, unit: "%", color: "#ffffff" };

/** Shadow, outline, light and filters; folded at first. */
export function Look({ photo, recipe }) {
  return html`<details class="look">
    <summary><h3>Look</h3><span class="soft small">Shadow, outline, light, extras</span></summary>
    <div class="stack">
      ${recipe.background === "keep"
        ? html`<p class="soft small">Shadow, outline and light blend people with a new background;
            this picture keeps its own.</p>`
        : html`<${Joined} photo=${photo} recipe=${recipe} />`}
      <${Filters} photo=${photo} recipe=${recipe} />
    </div>
  </details>`;
}

function Joined({ photo, recipe }) {
  const [shadow, darkness] = String(recipe.shadow ?? "auto").split(":");
  const isDrawn = shadow === "drop" || shadow === "contact";
  return html`
    <${Select} label="Shadow" options=${SHADOWS} value=${shadow}
      onChange=${(value) => change(photo, { shadow: value })} />
    ${isDrawn && html`<${Share} label="How dark" value=${Number(darkness ?? SHADOW)}
      onChange=${(value) => change(photo, { shadow: `${shadow}:${value}` })} />`}
    <${OutlineFields} said=${recipe.outline ?? "none"}
      onChange=${(outline) => change(photo, { outline })} />
    <${FittingShare} label="Light on the edges" value=${recipe.light_wrap} fitting=${LIGHT_WRAP}
      onChange=${(value) => change(photo, { light_wrap: value })} />
    <${FittingShare} label="Colors toward the background" value=${recipe.harmonize}
      fitting=${HARMONIZE} onChange=${(value) => change(photo, { harmonize: value })} />`;
}

function OutlineFields({ said, onChange }) {
  const outline = outlineOf(said);
  const write = ({ width, unit, color }) => onChange(`${width}${unit} ${color}`);
  return html`<div class="stack tight">
    <${Check} checked=${outline !== null}
      onChange=${(isOn) => (isOn ? write(OUTLINE) : onChange("none"))}>Outline around the people<//>
    ${outline !== null && html`<div class="outline-fields">
      <label class="well"><span class="unseen">Color of the outline</span>
        <input type="color" value=${outline.color}
          onChange=${(event) => write({ ...outline, color: event.currentTarget.value })} /></label>
      <${Share} label="How wide" value=${outline.width} min="0.2" max=${outline.unit === "%" ? 5 : 100}
        step="0.1" words=${(value) => `${value} ${outline.unit}`}
        onChange=${(width) => write({ ...outline, width })} />
    </div>`}
  </div>`;
}

/** A share that the service chooses until the user sets it. */
function FittingShare({ value, fitting, onChange, ...others }) {
  const isOwn = value !== null && value !== undefined && value !== "auto";
  return html`<div class="fitting">
    <${Share} value=${isOwn ? Number(value) : fitting} onChange=${onChange} ...${others}
      atRest=${isOwn ? null : "automatic"} />
    ${isOwn && html`<${Button} kind="small quiet" onClick=${() => onChange("auto")}>Automatic<//>`}
  </div>`;
}

function outlineOf(said) {
  const [, width, unit, color] = /^([\d.]+)(px|%) ?(.*)$/.exec(said) ?? [];
  if (width === undefined) return null;
  return { width: Number(width), unit, color: /^#[0-9a-f]{6}$/i.test(color) ? color : "#ffffff" };
}
