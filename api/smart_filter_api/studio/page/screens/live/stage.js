/** The stage: composited frames from the live worker, with the detected faces over them. */

import { useEffect, useRef } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Icon } from "../../controls/icon.js";
import { html } from "../../html.js";
import { live, pace, seen, taken } from "../../state/live.js";
import { settings } from "../../state/live-settings.js";
import { SMILES, TONES, eyesInWords } from "./words.js";

const FLASH_MS = 420;
const WAITING = {
  asking: "Opening the camera. Your browser may ask for permission.",
  connecting: "Connecting to the live worker…",
  paused: "Paused while you were away.",
  lost: "Connecting again…",
};

/** video: element of the camera's own picture, visible until the first composited frame arrives. */
export function Stage({ video, onStart }) {
  const { state } = live.value;
  const { isMirrored, hasOverlays } = settings.value;
  const canvas = useDrawing(isMirrored);
  const isOff = state === "off" || state === "failed";
  const { width, height } = seen.value ?? { width: 16, height: 9 };
  return html`<div class="live-stage" data-state=${state} style=${{ "--shape": width / height }}>
    <video ref=${video} class=${isMirrored ? "mirrored" : ""} muted playsinline aria-hidden="true"
      hidden=${isOff} />
    <canvas ref=${canvas} hidden=${seen.value === null} role="img"
      aria-label="You in front of the chosen background" />
    ${hasOverlays && !WAITING[state] && html`<${Overlays} />`}
    <${Flash} />
    ${WAITING[state] && html`<p class="stage-words" role="status">${WAITING[state]}</p>`}
    ${isOff && html`<div class="stage-start stack">
      <p class="stage-title">Your camera, somewhere else</p>
      <p>See yourself in front of another background, with smiles and eyes rated as you move. The
        camera's picture is not stored; only photos that you take are.</p>
      <${Button} kind="primary" icon="live" onClick=${onStart}>Start the camera<//>
    </div>`}
  </div>`;
}

/** Draw the composited frames. Mirrors the drawing, not the element, so that labels stay readable. */
function useDrawing(isMirrored) {
  const canvas = useRef(null);
  useEffect(
    () =>
      seen.subscribe((shown) => {
        if (shown === null) return;
        const { width, height, bitmap } = shown;
        const element = canvas.current;
        if (element.width !== width || element.height !== height) {
          element.width = width;
          element.height = height;
        }
        const context = element.getContext("2d", { alpha: false });
        context.setTransform(isMirrored ? -1 : 1, 0, 0, 1, isMirrored ? width : 0, 0);
        context.drawImage(bitmap, 0, 0);
      }),
    [isMirrored],
  );
  return canvas;
}

function Overlays() {
  if (seen.value === null) return null;
  const { faces, rating, width, height } = seen.value;
  const { perSecond, delayMs } = pace.value;
  return html`<div class="overlays" aria-hidden="true">
    ${faces.map((face, index) => html`<${Face} key=${index} face=${face} width=${width}
      height=${height} />`)}
    ${rating && html`<div class="meter"><span>Rating</span>
      <span class="meter-bar"><span style=${{ width: `${rating.points}%` }} /></span>
      <span class="figures">${rating.score.toFixed(2)}</span></div>`}
    <p class="pace figures">${Math.round(perSecond)} frames/s · ${Math.round(delayMs)} ms</p>
  </div>`;
}

function Face({ face, width, height }) {
  const [x, y, wide, high] = face.box;
  const left = settings.value.isMirrored ? width - x - wide : x;
  const { level } = face.smile;
  const style = {
    left: `${(100 * left) / width}%`,
    top: `${(100 * y) / height}%`,
    width: `${(100 * wide) / width}%`,
    height: `${(100 * high) / height}%`,
  };
  return html`<div class=${`face ${TONES[level]}`} data-level=${level} style=${style}>
    <p><strong>${SMILES[level]}</strong>${eyesInWords(face.eyes)}</p>
  </div>`;
}

/** A flash when a photo is taken; with reduced motion, only the new photo in the row shows it. */
function Flash() {
  const element = useRef(null);
  useEffect(
    () =>
      taken.subscribe((count) => {
        if (count === 0 || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
        element.current.animate([{ opacity: 0.9 }, { opacity: 0 }], FLASH_MS);
      }),
    [],
  );
  return html`<div class="flash" ref=${element} />`;
}
