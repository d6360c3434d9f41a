/** Difference of two pictures: the brighter a pixel, the more it differs. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Range } from "../../controls/fields.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { useGestures } from "../photo/viewer/gestures.js";
import { NAMES } from "../photo/viewer/notes.js";
import { picture } from "../photo/viewer/pictures.js";
import { lacking } from "../photo/viewer/shown.js";
import { useStage } from "../photo/viewer/view.js";

/** Pictures with more pixels are compared at a smaller scale. */
const MOST_PIXELS = 4e6;
/** Differences up to this level, of 255, can come from encoding the same picture again. */
const NOISE_LEVELS = 8;

/** The absolute difference of two versions in the view's mode. */
export function Difference({ one, other, view }) {
  const stage = useRef(null);
  const [gain, setGain] = useState(4);
  const { found, error, again } = useDifference(one, other, view.mode.value);
  const listeners = useGestures(view, stage);
  useStage(view, stage, found?.space ?? null);
  const missing = lacking(one, view.mode.value) ?? lacking(other, view.mode.value);
  const isShown = found !== null && missing === null && view.space.value !== null;
  return html`<section class="difference stack" aria-label="Difference">
    <div class="mount">
      <div class=${`stage ${view.isFit.value ? "" : "near"}`} ref=${stage} role="group" tabindex="0"
        aria-label="Difference. Plus and minus zoom, 0 fits, arrows move." ...${listeners}>
        ${isShown && html`<${Plane} view=${view} found=${found} gain=${gain} />`}
      </div>
      <div class="notes stack">
        ${error && html`<${Trouble} error=${error}><${Button} kind="small" icon="refresh" onClick=${again}>Try
          again<//><//>`}
        ${missing && html`<p class="notice">Not both versions have a ${NAMES[missing]}.</p>`}
      </div>
    </div>
    <div class="row wrap spread">
      <p role="status">${isShown ? said(found.share) : "Comparing"}</p>
      <${Range} label="Amplified" min="1" max="16" value=${gain} shown=${`${gain} ×`} onInput=${setGain} />
    </div>
  </section>`;
}

function Plane({ view, found, gain }) {
  const canvas = useRef(null);
  useEffect(() => {
    const { pixels } = found;
    canvas.current.width = pixels.width;
    canvas.current.height = pixels.height;
    canvas.current.getContext("2d").putImageData(pixels, 0, 0);
  }, [found]);
  const { x, y, zoom } = view.transform.value;
  const { width, height } = found.space.frame;
  const plane = {
    width: `${width}px`,
    height: `${height}px`,
    transform: `translate(${x}px, ${y}px) scale(${zoom})`,
    imageRendering: view.showsPixels.value ? "pixelated" : "auto",
  };
  return html`<div class="plane" style=${plane}>
    <canvas ref=${canvas} role="img" aria-label=${said(found.share)} style=${{ filter: `brightness(${gain})` }} />
  </div>`;
}

function useDifference(one, other, mode) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const [attempt, setAttempt] = useState(0);
  const paths = [one.outputs[mode], other.outputs[mode]];
  useEffect(() => {
    setError(null);
    if (paths.includes(undefined)) return undefined;
    let isWanted = true;
    Promise.all(paths.map(picture))
      .then(([a, b]) => isWanted && setFound(differenceOf({ ...a, job: one }, { ...b, job: other }, mode)))
      .catch((problem) => isWanted && setError(problem));
    return () => {
      isWanted = false;
    };
  }, [...paths, mode, attempt]);
  return { found, error, again: () => setAttempt(attempt + 1) };
}

/**
 * Return `{pixels: ImageData, share: 0 to 1 of pixels that differ, space (see View)}`.
 *
 * Pictures of the same frame are compared whole, others within the photo's area.
 */
function differenceOf(one, other, mode) {
  const { photo } = one.job;
  const whole = { width: photo.width, height: photo.height, scale: 1, left: 0, top: 0 };
  const frames = [one.job.frame ?? whole, other.job.frame ?? whole];
  const isSame = ["width", "height", "scale", "left", "top"].every((name) => frames[0][name] === frames[1][name]);
  const frame = isSame ? frames[0] : whole;
  const shrunk = Math.min(1, Math.sqrt(MOST_PIXELS / (frame.width * frame.height)));
  const size = [Math.round(frame.width * shrunk), Math.round(frame.height * shrunk)];
  const [a, b] = [one, other].map(({ element }, index) => drawn(element, frames[index], frame, size));
  const { pixels, share } = subtracted(a, b);
  return { pixels, share, space: { mode, photo, frame } };
}

/** Return a picture's pixels within `frame`, at `size`. own: the picture's own frame. */
function drawn(element, own, frame, [width, height]) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const zoom = (frame.scale / own.scale) * (width / frame.width);
  context.drawImage(
    element,
    (frame.left * width) / frame.width - own.left * zoom,
    (frame.top * height) / frame.height - own.top * zoom,
    own.width * zoom,
    own.height * zoom,
  );
  return context.getImageData(0, 0, width, height);
}

/** Subtract pixels weighted by their opacity, so that transparent pixels have no color. */
function subtracted(one, other) {
  const pixels = new ImageData(one.width, one.height);
  let differing = 0;
  for (let at = 0; at < pixels.data.length; at += 4) {
    const alpha = one.data[at + 3];
    const otherAlpha = other.data[at + 3];
    const least = Math.abs(alpha - otherAlpha);
    let most = least;
    for (let channel = 0; channel < 3; channel++) {
      const apart = Math.abs(one.data[at + channel] * alpha - other.data[at + channel] * otherAlpha) / 255;
      pixels.data[at + channel] = Math.max(apart, least);
      most = Math.max(most, apart);
    }
    pixels.data[at + 3] = 255;
    if (most > NOISE_LEVELS) differing += 1;
  }
  return { pixels, share: differing / (one.width * one.height) };
}

function said(share) {
  if (share === 0) return "The two pictures do not differ visibly.";
  const percent = 100 * share;
  return `${percent < 0.1 ? "Less than 0.1" : percent.toFixed(1)} % of the pixels differ visibly.`;
}
