/** A brush for the keyboard: arrows move it, keys keep or remove what is below it. */

import { signal } from "@preact/signals";
import { html } from "../../../../html.js";
import { isFull } from "../../../../state/corrections.js";
import { brushWidth } from "./width.js";

const STEP = 1 / 4;
const MARGIN_PX = 48;
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** What the keys do: keep, remove, or, with Enter, what the brush does. */
const ACTS = { Enter: undefined, Backspace: false, Delete: false };

/** Its position, as shares of the photo's width and height. */
const stands = signal([0.5, 0.5]);
/** Its announcement for screen readers; the panel has the live region. */
export const said = signal("");

/** The element that takes the keys; visible while focused. */
export function Crosshair({ view, brush, painting }) {
  const { photo } = view.space.value;
  const width = brushWidth(photo);
  const [x, y] = [stands.value[0] * photo.width, stands.value[1] * photo.height];
  const key = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const way = WAYS[event.key];
    if (way !== undefined) {
      move(way, event.shiftKey ? width : width * STEP, photo);
      follow(view, photo);
      said.value = wordsAt(painting);
    } else if (event.key in ACTS) {
      dab(painting, brush, [x, y], ACTS[event.key]);
    } else if (event.key === "Escape") {
      document.getElementById("by-keys")?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<svg class="crosshair" id="crosshair" tabindex="0" role="application"
    viewBox=${`0 0 ${photo.width} ${photo.height}`} preserveAspectRatio="none"
    aria-label="Brush for the keyboard" aria-describedby="crosshair-keys" onKeyDown=${key}
    onFocus=${() => {
      said.value = wordsAt(painting);
    }}>
    ${["dark", "light"].map(
      (shade) => html`<g class=${shade} key=${shade}>
        <circle cx=${x} cy=${y} r=${width / 2} />
        <path d=${`M${x} 0V${y - width / 2}M${x} ${y + width / 2}V${photo.height}M0 ${y}H${x - width / 2}M${x + width / 2} ${y}H${photo.width}`} />
      </g>`,
    )}
  </svg>`;
}

function move([across, down], step, { width, height }) {
  const [x, y] = stands.value;
  const within = (share) => Math.min(Math.max(share, 0), 1);
  stands.value = [within(x + (across * step) / width), within(y + (down * step) / height)];
}

/** Move the view so that the crosshair is visible. */
function follow(view, photo) {
  const { frame } = view.space.value;
  const at = view.transform.value;
  const { width, height } = view.stage.value;
  const x = at.x + at.zoom * (frame.left + frame.scale * stands.value[0] * photo.width);
  const y = at.y + at.zoom * (frame.top + frame.scale * stands.value[1] * photo.height);
  view.pan(missing(x, width), missing(y, height));
}

function missing(place, length) {
  return Math.max(0, MARGIN_PX - place) - Math.max(0, place - (length - MARGIN_PX));
}

function dab(painting, brush, point, keep) {
  if (isFull(painting.photo)) {
    said.value = "The maximum number of strokes is reached.";
    return;
  }
  const stroke = brush.click(point, keep);
  const area = stroke.snap ? `a part of ${percent(brush.regions.shareOf(stroke))} of the photo` : "a dot";
  said.value = `${stroke.keep ? "Keeps" : "Removes"} ${area} here, ${placeWords()}`;
}

function wordsAt(painting) {
  const isSeen = painting.isSeen(stands.value);
  const state = isSeen === null ? "the brush is on the photo" : isSeen ? "this is kept" : "this is removed";
  return `${placeWords()}, ${state}`;
}

function placeWords() {
  const [across, down] = stands.value.map(percent);
  return `${across} across, ${down} down`;
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}
