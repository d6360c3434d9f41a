/** A single color: from the photo, from the design, or any other. */

import { useEffect, useId, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { TextField } from "../../../../controls/fields.js";
import { Icon } from "../../../../controls/icon.js";
import { html } from "../../../../html.js";
import { designOf } from "../../../../state/backgrounds.js";
import { change } from "../../../../state/changes.js";
import { split } from "../../../background/names.js";
import { colorsOf } from "./photo-colors.js";

const PLAIN = ["#ffffff", "#efefef", "#9b9b9b", "#000000", "#f4e9dc", "#dbe7f3", "#c8d8c4", "#ff6f61"];

/** Swatches, the browser's color picker, and a text field for a color code. */
export function Color({ photo, recipe }) {
  const [kind, said] = split(recipe.background);
  const chosen = kind === "color" ? hexOf(said) : null;
  const take = (color) => change(photo, { background: `color:${color}` });
  const ofPhoto = usePhotoColors(photo);
  const name = photo.versions.findLast((job) => job.background?.name)?.background.name;
  const ofDesign = name ? (designOf(name).design?.palette ?? []) : [];
  return html`<div class="stack">
    <${Swatches} title="Plain" colors=${PLAIN} chosen=${chosen} onPick=${take} />
    <${Swatches} title="From the photo" colors=${ofPhoto} chosen=${chosen} onPick=${take} />
    <${Swatches} title="From the design" colors=${ofDesign} chosen=${chosen} onPick=${take} />
    <${AnyColor} chosen=${chosen ?? "#c23a15"} said=${kind === "color" ? said : ""} onPick=${take} />
  </div>`;
}

function Swatches({ title, colors, chosen, onPick }) {
  const id = useId();
  if (colors.length === 0) return null;
  return html`<div class="stack tight" role="group" aria-labelledby=${id}>
    <span class="small" id=${id}>${title}</span>
    <div class="swatches">
      ${colors.map(
        (color) => html`<button type="button" class="swatch" key=${color} title=${color}
          aria-label=${color} aria-pressed=${String(color === chosen)}
          style=${{ background: color, color: inkOn(color) }} onClick=${() => onPick(color)}>
          ${color === chosen && html`<${Icon} name="check" />`}</button>`,
      )}
    </div>
  </div>`;
}

function AnyColor({ chosen, said, onPick }) {
  const [text, setText] = useState(said);
  const [wrong, setWrong] = useState("");
  useEffect(() => setText(said), [said]);
  const take = (event) => {
    event.preventDefault();
    const color = text.trim();
    const isColor = color !== "" && CSS.supports("color", color);
    setWrong(isColor ? "" : "This is not a color. Try tomato, #ff6347 or rgb(255 99 71).");
    if (isColor) onPick(color);
  };
  return html`<form class="any-color" onSubmit=${take}>
    <label class="well"><span class="unseen">Pick a color</span>
      <input type="color" value=${chosen} onChange=${(event) => onPick(event.currentTarget.value)} />
    </label>
    <${TextField} label="Any color" value=${text} wrong=${wrong} spellcheck="false"
      autocomplete="off" autocapitalize="off" placeholder="#ff6347 or tomato"
      onInput=${(event) => setText(event.currentTarget.value)} />
    <${Button} type="submit">Use<//>
  </form>`;
}

function usePhotoColors(photo) {
  const { photo: address } = photo.current.links;
  const [colors, setColors] = useState([]);
  useEffect(() => {
    // The other swatches remain; no error is needed.
    if (address) colorsOf(address).then(setColors, () => {});
  }, [address]);
  return colors;
}

/** Return a CSS color as #rrggbb, or null if it is invalid. */
function hexOf(color) {
  if (!CSS.supports("color", color)) return null;
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = color;
  return context.fillStyle;
}

/** Return black or white, whichever is readable on a color (WCAG 2.2, relative luminance). */
function inkOn(hex) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff";
}
