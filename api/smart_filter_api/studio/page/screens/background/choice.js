/** Fields of a background choice (state/background-choice.js). */

import { useId, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Dialog } from "../../controls/dialog.js";
import { html } from "../../html.js";
import { library, useHeld } from "../../state/backgrounds.js";
import { DesignGrid } from "./design-grid.js";
import { designName } from "./names.js";
import { PictureButton } from "./picture-button.js";

const KINDS = [
  { value: "auto", label: "A background chosen for me" },
  { value: "keep", label: "Their own background" },
  { value: "transparent", label: "A transparent background" },
  { value: "design", label: "A design" },
  { value: "color", label: "A color" },
  { value: "blur", label: "Their own background, blurred" },
  { value: "keywords", label: "A background by keywords" },
  { value: "file", label: "My own picture" },
];

/**
 * label: text before the choice. onChange: called with the changed fields. mayUpload: offers `file`.
 * hasGrid: designs are shown elsewhere, not in a dialog of their own.
 */
export function BackgroundChoice({ label, choice, onChange, mayUpload = true, hasGrid }) {
  const id = useId();
  const kinds = mayUpload ? KINDS : KINDS.filter(({ value }) => value !== "file");
  return html`<label for=${id}>${label}</label>
    <select class="select" id=${id} onChange=${(event) => onChange({ kind: event.currentTarget.value })}>
      ${kinds.map(({ value, label: words }) => html`<option key=${value} value=${value}
        selected=${value === choice.kind}>${words}</option>`)}
    </select>
    <${Value} choice=${choice} onChange=${onChange} hasGrid=${hasGrid} />`;
}

/** Return a choice in words. */
export function choiceInWords({ kind, design, picture }) {
  if (kind === "design" && design !== null) return designName(design);
  if (kind === "file" && picture !== null) return picture.name;
  return KINDS.find(({ value }) => value === kind).label;
}

function Value({ choice, onChange, hasGrid }) {
  const { kind, color, blur, keywords, picture } = choice;
  if (kind === "color") {
    return html`<input class="input swatch" type="color" aria-label="Color" value=${color}
      onInput=${(event) => onChange({ color: event.currentTarget.value })} />`;
  }
  if (kind === "blur") {
    return html`<input class="range" type="range" aria-label="Blur" min="0.1" max="1" step="0.1"
      value=${blur} onInput=${(event) => onChange({ blur: Number(event.currentTarget.value) })} />`;
  }
  if (kind === "keywords") {
    return html`<input class="input" type="text" aria-label="Keywords" placeholder="beach, sunset"
      value=${keywords} maxlength="200" onInput=${(event) => onChange({ keywords: event.currentTarget.value })} />`;
  }
  if (kind === "design" && !hasGrid) return html`<${DesignButton} choice=${choice} onChange=${onChange} />`;
  if (kind === "file") {
    return html`<${PictureButton} kind="small" onPick=${(file) => onChange({ picture: file })}>
      ${picture === null ? "Choose a picture" : html`<span class="file-name">${picture.name}</span>`}<//>`;
  }
  return null;
}

function DesignButton({ choice: { design }, onChange }) {
  const [isOpen, open] = useState(false);
  // For the design's title.
  useHeld(library);
  return html`<${Button} kind="small" icon="swatch" onClick=${() => open(true)}>
      ${design === null ? "Choose a design" : designName(design)}<//>
    ${isOpen && html`<${Dialog} title="Choose a design" onClose=${() => open(false)}>
      <${DesignGrid} current=${design} onPick=${(name) => {
        onChange({ design: name });
        open(false);
      }} /><//>`}`;
}
