/** Toolbar: mode, background of the cutout, and zoom. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Segmented } from "../../../controls/choices.js";
import { html } from "../../../html.js";

const MODES = [
  { value: "compare", label: "Compare" },
  { value: "image", label: "Result" },
  { value: "photo", label: "Photo" },
  { value: "cutout", label: "Alone" },
  { value: "matte", label: "Matte" },
];

const GROUNDS = [
  { value: "checkerboard", label: "On a checkerboard" },
  { value: "white", label: "On white" },
  { value: "black", label: "On black" },
  { value: "accent", label: "On a bright color" },
];

/** Choice of the mode. */
export function Modes({ view }) {
  return html`<div class="modes">
    <${Segmented} legend="View" options=${MODES} value=${view.mode.value}
      onChange=${(mode) => {
        view.mode.value = mode;
      }} />
  </div>`;
}

/** Choice of the color behind a cutout. */
export function Grounds({ view }) {
  return html`<fieldset class="grounds">
    <legend class="unseen">Background of the cutout</legend>
    ${GROUNDS.map(
      ({ value, label }) => html`<label key=${value} title=${label}>
        <input type="radio" name="ground" aria-label=${label}
          checked=${view.ground.value === value}
          onChange=${() => {
            view.ground.value = value;
          }} />
        <span class=${`ground-mark ${value}`} />
      </label>`,
    )}
  </fieldset>`;
}

/** Zoom buttons. figure: a ref of the element for full screen. */
export function Zoom({ view, figure }) {
  const percent = Math.round(100 * view.magnification.value);
  return html`<div class=${`zoom ${hasRoomBeside(view) ? "upright" : ""}`} role="group" aria-label="Zoom">
    <${Button} kind="quiet" icon="minus" label="Zoom out" onClick=${() => view.step(-1)} />
    <button type="button" class="button quiet percent"
      aria-label=${view.isFit.value ? `${percent} %, show pixel for pixel` : `${percent} %, fit`}
      title=${view.isFit.value ? "Show pixel for pixel" : "Fit"}
      onClick=${() => (view.isFit.value ? view.magnify(1) : view.fit())}>
      ${percent} %</button>
    <${Button} kind="quiet" icon="add" label="Zoom in" onClick=${() => view.step(1)} />
    ${document.fullscreenEnabled && html`<${Full} figure=${figure} />`}
  </div>`;
}

/** Return whether the fitted picture leaves more room at its sides than below. */
function hasRoomBeside(view) {
  if (view.space.value === null) return false;
  const { width, height } = view.stage.value;
  const [, , across, down] = view.extent.value;
  return across * height < down * width;
}

function Full({ figure }) {
  const [isFull, setFull] = useState(false);
  useEffect(() => {
    const turned = () => setFull(document.fullscreenElement !== null);
    addEventListener("fullscreenchange", turned, { capture: true });
    return () => removeEventListener("fullscreenchange", turned, { capture: true });
  }, []);
  const turn = () => {
    // A refusal, as inside a foreign frame, is ignored.
    const turning = isFull ? document.exitFullscreen() : figure.current.requestFullscreen();
    turning.catch(() => {});
  };
  return html`<${Button} kind="quiet" icon=${isFull ? "close" : "full"}
    label=${isFull ? "Leave full screen" : "Full screen"} onClick=${turn} />`;
}
