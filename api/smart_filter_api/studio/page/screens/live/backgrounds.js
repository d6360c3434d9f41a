/** Choice of the live background. */

import { useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Segmented } from "../../controls/choices.js";
import { Range } from "../../controls/fields.js";
import { Trouble, say } from "../../controls/notices.js";
import { RovingGrid } from "../../controls/roving.js";
import { html } from "../../html.js";
import { library, useHeld } from "../../state/backgrounds.js";
import { chosen } from "../../state/live.js";
import { setBackground, setPicture, settings } from "../../state/live-settings.js";
import { designName, split } from "../background/names.js";
import { Thumbnail } from "../background/thumbnail.js";

// Formats that browsers decode; most browsers do not decode HEIC.
const ACCEPTED = "image/jpeg,image/png,image/webp,image/avif";
const KINDS = [
  { value: "auto", label: "Choose for me", spec: "auto" },
  { value: "preset", label: "Designs" },
  { value: "color", label: "Color", spec: "color:#f2c14e" },
  { value: "blur", label: "Blur", spec: "blur:0.5" },
  { value: "file", label: "My picture" },
  { value: "keep", label: "Original", spec: "keep" },
];

export function Backgrounds() {
  const [kind] = split(settings.value.spec);
  const [open, setOpen] = useState(kind);
  const pick = (value) => {
    setOpen(value);
    const { spec } = KINDS.find((one) => one.value === value);
    if (spec) setBackground(spec);
  };
  const Body = BODIES[open];
  return html`<section class="stack" aria-labelledby="live-background">
    <h2 id="live-background">Background</h2>
    <div class="live-kinds"><${Segmented} legend="Background" options=${KINDS} value=${open}
      onChange=${pick} /></div>
    <${Body} />
  </section>`;
}

function Auto() {
  const name = chosen.value?.name;
  return html`<p class="soft small" role="status">${name
    ? `${designName(name)}. ${chosen.value.reason ?? ""}`
    : "One that matches the faces, the clothes and the light."}</p>`;
}

function Designs() {
  const { items, error, again } = useHeld(library);
  if (error !== null) {
    return html`<${Trouble} error=${error}><${Button} kind="small" icon="refresh"
      onClick=${again}>Try again<//><//>`;
  }
  // Live workers have only the generated designs, no added pictures.
  const found = (items ?? []).filter(({ source }) => source === "generated");
  const [, name] = split(settings.value.spec);
  return html`<${RovingGrid} label="Designs" class="designs" current=${name}
    items=${found.map((design) => ({ id: design.name, label: design.title, design }))}
    onPick=${(id) => setBackground(`preset:${id}`)}>
    ${({ design }) => html`<${Thumbnail} design=${design} />
      <span class="title">${design.title}</span>`}
  <//>`;
}

function Color() {
  const [, color] = split(settings.value.spec);
  return html`<label class="row">
    <input class="input live-color" type="color" value=${color}
      onInput=${(event) => setBackground(`color:${event.currentTarget.value}`)} />
    Any color</label>`;
}

function Blur() {
  const [, strength] = split(settings.value.spec);
  return html`<${Range} label="How much" min="0" max="1" step="0.05" value=${strength}
    shown=${`${Math.round(100 * Number(strength))} %`}
    onInput=${(value) => setBackground(`blur:${value}`)} />`;
}

function Own() {
  const picker = useRef(null);
  const name = settings.value.picture?.file.name;
  const take = async (event) => {
    const [file] = event.currentTarget.files;
    event.currentTarget.value = "";
    try {
      await setPicture(file);
    } catch {
      say(`This browser cannot read ${file.name}. Choose a JPEG, PNG, WebP or AVIF picture.`);
    }
  };
  return html`<div class="row wrap">
    <${Button} icon="upload" onClick=${() => picker.current.click()}>
      ${name ? "Choose another" : "Choose a picture"}<//>
    <input ref=${picker} type="file" accept=${ACCEPTED} hidden data-way="live-background"
      onChange=${take} />
    <span class="soft small">${name ?? "It fills the picture."}</span>
  </div>`;
}

const BODIES = {
  auto: Auto,
  preset: Designs,
  color: Color,
  blur: Blur,
  file: Own,
  keep: () => html`<p class="soft small">Your real background.</p>`,
};
