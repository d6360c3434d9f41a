/** The brush: pointer input, width and position. */

import { batch, signal } from "@preact/signals";
import { html } from "../../../../html.js";
import { add, isFull } from "../../../../state/corrections.js";
import { Crosshair } from "./crosshair.js";
import { simplified } from "./lines.js";
import { brushWidth } from "./width.js";

/** An overlay (viewer/view.js) that paints strokes. */
export class Brush {
  cursor = "crosshair";
  /** Whether it keeps the painted area or removes it. */
  keeps = true;
  /** Position of the mouse over the photo, or null. */
  above = signal(null);
  #painting;
  #view;

  constructor(view, painting) {
    this.#view = view;
    this.#painting = painting;
  }

  Layer = (props) => html`<div class="brush"><${Ring} brush=${this} ...${props} />
    <${Crosshair} painting=${this.#painting} ...${props} /></div>`;

  down(point, event) {
    if (event.button > 0 || isFull(this.#painting.photoId)) return false;
    const width = brushWidth(this.#photo);
    this.#painting.drawing.value = { points: [this.#within(point)], width, keep: this.keeps };
    this.above.value = point;
    return true;
  }

  move(point, event) {
    const { drawing } = this.#painting;
    // Coalesced events keep corners of fast movements between two frames.
    const passed = event.getCoalescedEvents?.() ?? [];
    const places = passed.map(({ clientX, clientY }) => this.#view.toPhoto(clientX, clientY));
    const points = [...(places.length > 0 ? places : [point])].map((one) => this.#within(one));
    drawing.value = { ...drawing.value, points: [...drawing.value.points, ...points] };
    this.above.value = point;
  }

  up(point, event) {
    // A lifted finger has no position.
    if (event.pointerType === "touch") this.above.value = null;
    const { drawing, photoId } = this.#painting;
    batch(() => {
      add(photoId, simplified(drawing.value));
      drawing.value = null;
    });
  }

  cancel() {
    this.above.value = null;
    this.#painting.drawing.value = null;
  }

  hover(point) {
    this.above.value = point;
  }

  get #photo() {
    return this.#view.space.value.photo;
  }

  /** Return a position in photo coordinates, clamped to the photo. */
  #within({ x, y }) {
    const { width, height } = this.#photo;
    return [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
  }
}

function Ring({ brush, view }) {
  const above = brush.above.value;
  if (above === null) return null;
  const { photo } = view.space.value;
  const radius = brushWidth(photo) / 2;
  return html`<svg class="brush-ring" viewBox=${`0 0 ${photo.width} ${photo.height}`}
    preserveAspectRatio="none" aria-hidden="true">
    <circle class="dark" cx=${above.x} cy=${above.y} r=${radius} />
    <circle cx=${above.x} cy=${above.y} r=${radius} />
  </svg>`;
}
