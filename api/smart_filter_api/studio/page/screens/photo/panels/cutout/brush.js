/** The brush: pointer input, width and position, and what a click would mark. */

import { batch, signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { html } from "../../../../html.js";
import { add, isFull } from "../../../../state/corrections.js";
import { Crosshair } from "./crosshair.js";
import { simplified } from "./lines.js";
import { KEEP, REMOVE } from "./painting.js";
import { followsEdges } from "./regions.js";
import { brushWidth } from "./width.js";

// Largest pointer movement of a click.
const STILL_PX = 6;

/** An overlay (viewer/view.js) that paints strokes. */
export class Brush {
  cursor = "crosshair";
  /** Whether it keeps the painted area or removes it; null: it reverses the state below it. */
  keeps = null;
  /** Position of the mouse over the photo, or null. */
  above = signal(null);
  #painting;
  #view;
  /** The line being drawn, and where it began, in the window, until it has left that place. */
  #line;
  #pressed;

  constructor(view, painting) {
    this.#view = view;
    this.#painting = painting;
  }

  Layer = (props) => html`<div class="brush">
    <${Preview} brush=${this} ...${props} />
    <${Ring} brush=${this} ...${props} />
    <${Crosshair} brush=${this} painting=${this.#painting} ...${props} /></div>`;

  /** The photo's regions, if the brush follows them. */
  get regions() {
    return followsEdges.value ? this.#painting.regions : null;
  }

  /** Return whether the brush keeps or removes what it marks first at a point `[x, y]`. */
  keepsAt([x, y]) {
    if (this.keeps !== null) return this.keeps;
    const { width, height } = this.#photo;
    return this.#painting.isKept([x / width, y / height]) === false;
  }

  /** Return the stroke of a click: the part at the point, or a dot. */
  clickAt(point, keep = this.keepsAt(point)) {
    if (this.regions) return { points: [point], keep, snap: "part" };
    return simplified({ points: [point], width: brushWidth(this.#photo), keep });
  }

  down(point, event) {
    if (event.button > 0 || isFull(this.#painting.photoId)) return false;
    const place = this.#within(point);
    this.#line = { points: [place], width: brushWidth(this.#photo), keep: this.keepsAt(place) };
    this.#pressed = [event.clientX, event.clientY];
    if (!this.regions) this.#painting.drawing.value = this.#line;
    this.above.value = point;
    return true;
  }

  move(point, event) {
    const [x, y] = this.#pressed ?? [];
    if (this.regions && Math.hypot(event.clientX - x, event.clientY - y) < STILL_PX) return;
    this.#pressed = null;
    // Coalesced events keep corners of fast movements between two frames.
    const passed = event.getCoalescedEvents?.() ?? [];
    const places = passed.map(({ clientX, clientY }) => this.#view.toPhoto(clientX, clientY));
    const points = [...(places.length > 0 ? places : [point])].map((one) => this.#within(one));
    this.#line = { ...this.#line, points: [...this.#line.points, ...points] };
    const { drawing } = this.#painting;
    drawing.value = this.regions?.follow(this.#line, drawing.value) ?? this.#line;
    this.above.value = point;
  }

  up(point, event) {
    // A lifted finger has no position.
    if (event.pointerType === "touch") this.above.value = null;
    const { drawing, photoId } = this.#painting;
    batch(() => {
      if (drawing.value === null) add(photoId, this.clickAt(this.#line.points[0], this.#line.keep));
      else add(photoId, drawing.value.snap ? drawing.value : simplified(drawing.value));
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

  get isDrawing() {
    return this.#painting.drawing.value !== null;
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

/** The part that a click would mark. */
function Preview({ brush, view }) {
  const canvas = useRef(null);
  const { photo } = view.space.value;
  const { regions, above, isDrawing } = brush;
  const { x, y } = above.value ?? {};
  const isOver = x >= 0 && y >= 0 && x < photo.width && y < photo.height;
  const part = regions && isOver && !isDrawing ? regions.partAt([x, y]) : null;
  const keep = part !== null && brush.keepsAt([x, y]);
  useLayoutEffect(() => {
    if (part === null) return;
    const [mask] = regions.masksOf([brush.clickAt([x, y])]);
    const { width, height } = mask.canvas;
    const percent = (share) => `${100 * share}%`;
    Object.assign(canvas.current, { width, height });
    Object.assign(canvas.current.style, {
      left: percent(mask.left),
      top: percent(mask.top),
      width: percent(mask.width),
      height: percent(mask.height),
    });
    const context = canvas.current.getContext("2d");
    context.drawImage(mask.canvas, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = keep ? KEEP : REMOVE;
    context.fillRect(0, 0, width, height);
  }, [regions, part, keep]);
  return html`<canvas class="preview" ref=${canvas} hidden=${part === null} />`;
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
