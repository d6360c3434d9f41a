/** The picture at large: before and after, pixels, matte and cutout, with the panels' overlays. */

import { useRef } from "preact/hooks";
import { html } from "../../html.js";
import { Lacking } from "./lacking.js";
import { useGestures } from "./viewer/gestures.js";
import { Layers } from "./viewer/layers.js";
import { AtWork, Ended, NAMES, Unloaded } from "./viewer/notes.js";
import { lacking, pictured, useShown } from "./viewer/shown.js";
import { Slider } from "./viewer/slider.js";
import { Grounds, Modes, Zoom } from "./viewer/toolbar.js";
import { useStage } from "./viewer/view.js";

/** The viewer of a photo (state/photos.js), through a view (viewer/view.js). */
export function Viewer({ photo, view }) {
  const figure = useRef(null);
  const stage = useRef(null);
  const { shown, error, again } = useShown(photo, view.mode.value);
  const listeners = useGestures(view, stage);
  useStage(view, stage, shown?.space ?? null);
  const job = pictured(photo);
  const missing = lacking(job, view.mode.value);
  const isShown = shown !== null && view.space.value !== null;
  return html`<figure class="viewer" ref=${figure}>
    <div class="mount">
      <div class=${`stage ${view.isFit.value ? "" : "near"}`} ref=${stage} role="group" tabindex="0"
        aria-label="Picture. Plus and minus zoom, 0 fits, 1 shows pixel for pixel, arrows move."
        style=${{ cursor: cursorOf(view) }} ...${listeners}>
        ${isShown && html`<${Layers} view=${view} shown=${shown} />`}
        ${isShown && shown.space.mode === "compare" && html`<${Slider} view=${view} />`}
      </div>
      <${AtWork} job=${photo.current} isEmpty=${!isShown && error === null} />
      <div class="notes stack">
        ${view.mode.value === "cutout" && missing === null && html`<${Grounds} view=${view} />`}
        ${error && html`<${Unloaded} error=${error} mode=${view.mode.value} again=${again} />`}
        ${missing && html`<${Lacking} job=${job} outputs=${[missing]}>The ${NAMES[missing]} was
          not requested for this photo.<//>`}
        ${shown?.photoError && view.mode.value === "compare" && html`<p class="notice">There is
          nothing to compare with: the photo itself has expired.</p>`}
        <${Ended} photo=${photo} former=${job} />
      </div>
    </div>
    <figcaption class="viewer-tools">
      <${Modes} view=${view} /><${Zoom} view=${view} figure=${figure} />
    </figcaption>
  </figure>`;
}

function cursorOf(view) {
  const overlay = view.overlays.value.findLast((one) => one.cursor);
  if (overlay) return overlay.cursor;
  if (!view.isFit.value) return "grab";
  return view.space.value?.mode === "compare" ? "ew-resize" : "zoom-in";
}
