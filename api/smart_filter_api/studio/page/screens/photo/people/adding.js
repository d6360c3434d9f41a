/** Adding a missed face: draw a box around it, by pointer, finger or keyboard. */

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { html } from "../../../html.js";
import { useOverlay } from "../viewer/view.js";

// Shortest side of a box that the service accepts (docs/api/corrections.md).
const LEAST_PX = 8;
// A drag shorter than this on the screen is no box.
const STILL_PX = 8;
// Sides of the keyboard's first box, as a share of the photo's shorter side.
const FIRST_SHARE = 1 / 4;
const STEP = 1 / 8;
const WIDER = 1.1;
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SIZES = { "+": WIDER, "=": WIDER, "-": 1 / WIDER };

/** The tool while it is open. onDrawn: gets the box, `[x, y, width, height]` in photo pixels. */
export function Adding({ view, onDrawn, onLeave }) {
  const [drawing] = useState(() => new Drawing(view));
  drawing.onDrawn = onDrawn;
  drawing.onLeave = onLeave;
  useOverlay(view, drawing);
  useEffect(() => {
    const before = view.mode.value;
    view.mode.value = "photo";
    return () => {
      if (view.mode.value === "photo") view.mode.value = before;
    };
  }, [view]);
  return html`<div class="notice"><div class="stack">
    <p>Draw a box around the face, from the forehead to the chin.</p>
    <div class="by-keys stack tight">
      <${Button} kind="small" aria-describedby="face-keys"
        onClick=${() => document.getElementById("face-box")?.focus()}>Place by keyboard<//>
      <p class="small soft" id="face-keys">Arrows move the box, with Shift further; plus and minus
        change its size. Enter adds the face, Escape leaves.</p>
    </div>
    <${Button} kind="small" onClick=${onLeave}>Cancel<//>
    <p class="unseen" role="status">${drawing.said.value}</p>
  </div></div>`;
}

/** An overlay (viewer/view.js) that draws one box. */
class Drawing {
  cursor = "crosshair";
  onDrawn = () => {};
  onLeave = () => {};
  /** Announcement for screen readers. */
  said = signal("");
  /** The box that is being drawn: two corners in photo pixels, or null. */
  #corners = signal(null);
  /** The keyboard's box: center and side in photo pixels; null before its first focus. */
  #held = signal(null);
  #view;

  constructor(view) {
    this.#view = view;
  }

  Layer = ({ view, job }) => {
    const { width, height } = job.photo;
    const corners = this.#corners.value;
    return html`<svg class="faces adding" viewBox=${`0 0 ${width} ${height}`} aria-hidden="true">
        ${corners && html`<${Outline} box=${boxOf(corners)} scale=${view.scale.value} />`}</svg>
      <svg class="faces adding by-key" id="face-box" tabindex="0" role="application"
        viewBox=${`0 0 ${width} ${height}`} aria-label="Box for the keyboard"
        aria-describedby="face-keys" onKeyDown=${(event) => this.#key(event)}
        onFocus=${() => this.#hold(this.#held.value ?? this.#first())}>
        <${Outline} box=${heldBox(this.#held.value ?? this.#first())} scale=${view.scale.value} />
      </svg>`;
  };

  down(point, event) {
    if (event.button > 0) return false;
    this.#corners.value = [this.#within(point), this.#within(point)];
    return true;
  }

  move(point) {
    this.#corners.value = [this.#corners.value[0], this.#within(point)];
  }

  up() {
    const box = boxOf(this.#corners.value);
    this.#corners.value = null;
    const least = Math.max(LEAST_PX, STILL_PX / this.#view.scale.value);
    if (Math.min(box[2], box[3]) >= least) this.onDrawn(box);
  }

  cancel() {
    this.#corners.value = null;
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { x, y, side } = this.#held.value ?? this.#first();
    const way = WAYS[event.key];
    if (way !== undefined) {
      const step = event.shiftKey ? side : side * STEP;
      this.#hold({ x: x + way[0] * step, y: y + way[1] * step, side });
    } else if (event.key in SIZES) this.#hold({ x, y, side: side * SIZES[event.key] });
    else if (event.key === "Enter") this.onDrawn(heldBox({ x, y, side }));
    else if (event.key === "Escape") this.onLeave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #hold({ x, y, side }) {
    const { width, height } = this.#photo;
    const fits = Math.min(Math.max(side, LEAST_PX), width, height);
    const within = (place, length) => Math.min(Math.max(place, fits / 2), length - fits / 2);
    this.#held.value = { x: within(x, width), y: within(y, height), side: fits };
    const [across, down] = [this.#held.value.x / width, this.#held.value.y / height].map(percent);
    this.said.value = `${across} across, ${down} down, ${percent(fits / width)} wide`;
  }

  #first() {
    const { width, height } = this.#photo;
    return { x: width / 2, y: height / 2, side: FIRST_SHARE * Math.min(width, height) };
  }

  get #photo() {
    return this.#view.space.value.photo;
  }

  #within({ x, y }) {
    const { width, height } = this.#photo;
    return [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
  }
}

function Outline({ box: [x, y, width, height], scale }) {
  return ["rim", "outline"].map((name) => html`<rect key=${name} class=${name} x=${x} y=${y}
    width=${width} height=${height} rx=${8 / scale} />`);
}

function boxOf([[x, y], [right, bottom]]) {
  return [Math.min(x, right), Math.min(y, bottom), Math.abs(right - x), Math.abs(bottom - y)];
}

function heldBox({ x, y, side }) {
  return [x - side / 2, y - side / 2, side, side];
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}
