/** Settings of new photos: their background, shape, size and format. */

import { useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Dialog } from "../../controls/dialog.js";
import { Select } from "../../controls/fields.js";
import { html } from "../../html.js";
import { hasShape, want, wanted } from "../../state/wanted.js";
import { BackgroundChoice } from "../background/choice.js";
import { FORMATS, FRAMINGS, SHAPES } from "../shapes.js";
import { LogoChoice } from "./logo.js";
import { RecipeChoice, RecipeForm } from "./saved-recipe.js";

/** label: text before the choice. mayUpload: whether an own picture can be the background. */
export function Wanted({ label = "New photos get", mayUpload }) {
  const [isOpen, open] = useState(false);
  const { shape, framing, format, recipe, logo } = wanted.value;
  const saved = recipe?.fields ?? {};
  const isBehind = "background" in saved;
  const isUsual = shape === "" && framing === "false" && format === "auto" && logo === "";
  return html`<div class="wanted">
    ${!isBehind && html`<${BackgroundChoice} label=${label} choice=${wanted.value} onChange=${want}
      mayUpload=${mayUpload} />`}
    <${RecipeChoice} label=${isBehind && label} />
    <${Button} kind="small quiet" icon="sliders" onClick=${() => open(true)}>
      ${isUsual ? "Shape and format" : summary(wanted.value)}<//>
    ${isOpen && html`<${Dialog} title="Shape, size and format" onClose=${() => open(false)}
      actions=${html`<${Button} kind="primary" onClick=${() => open(false)}>Done<//>`}>
      <p class="soft">For photos that you add from now on.</p>
      ${recipe && html`<p class="small soft">The recipe ${recipe.name} sets the rest.</p>`}
      ${!hasShape(saved) && html`<${Select} label="Shape and size" options=${SHAPES} value=${shape}
        onChange=${(value) => want({ shape: value })} />`}
      ${!("crop" in saved) && html`<${Select} label="Framing" options=${FRAMINGS} value=${framing}
        onChange=${(value) => want({ framing: value })} />`}
      ${!("format" in saved) && html`<${Select} label="Format" options=${FORMATS} value=${format}
        onChange=${(value) => want({ format: value })} />`}
      ${!("logo" in saved) && html`<${LogoChoice} />`}
      <${RecipeForm} />
    <//>`}
  </div>`;
}

function summary({ shape, framing, format, logo }) {
  const labelOf = (options, value) => options.find((option) => option.value === value)?.label ?? value;
  return [
    shape !== "" && labelOf(SHAPES, shape).split(",")[0],
    framing !== "false" && labelOf(FRAMINGS, framing).toLowerCase(),
    format !== "auto" && labelOf(FORMATS, format).split(",")[0],
    logo !== "" && "logo",
  ].filter(Boolean).join(", ");
}
