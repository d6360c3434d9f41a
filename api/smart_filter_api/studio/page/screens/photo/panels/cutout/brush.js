/** The brush: pointer input, width and position, and what a click would mark. */

import { batch, signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { html } from "../../../../html.js";
import { add, isFull, replaceLast, strokesOf } from "../../../../state/corrections.js";
import { Crosshair } from "./crosshair.js";
import { simplified } from "./lines.js";
import { KEEP, REMOVE } from "./painting.js";
import { followsEdges } from "./regions.js";
import { brushWidth } from "./width.js";

// Largest pointer movement of a click, and largest distance of clicks at one place.
const STILL_PX = 6;

/** An overlay (viewer/view.js) that paints strokes. */
export class Brush {
  cursor = "crosshair";
  /** Whether it keeps the painted area or removes it; null: it reverses the state below it. */
  keeps = null;
  /** Position of the mouse over the photo, or null. */
  above = signal(null);
  /** How much larger an area the wheel asks for, in steps. */
  more = signal(0);
  /** Whether the last stroke marked little of a part that is much larger than the brush. */
  isCoarse = signal(false);
  #painting;
  #view;
  /** The line being drawn, and where it began, in the window, until it has left that place. */
  #line;
  #pressed;
  /** The last click: its stroke, its point, what it offered, and which of that was taken. */
  #clicked = null;

  constructor(view, painting) {
    this.#view = view;
    this.#painting = painting;
  }

  Layer = (props) => html`<div class="brush">
    <${Preview} brush=${this} painting=${this.#painting} ...${props} />
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
    return this.#painting.isSeen([x / width, y / height]) === false;
  }

  /**
   * Return what a click marks: `{stroke, isMore, offered, step}`, the smallest part at the point, or
   * a dot; at the place of the last click, the next larger part in place of its stroke.
   */
  clickAt(point, said = this.keeps) {
    const width = brushWidth(this.#photo);
    const last = this.#lastAt(point);
    const isSame = last !== null && [null, last.stroke.keep].includes(said);
    if (isSame && last.step + 1 < last.offered.length) {
      const step = Math.min(last.step + 1 + this.more.value, last.offered.length - 1);
      return { ...last, stroke: last.offered[step], step, isMore: true };
    }
    const keep = said ?? this.keepsAt(point);
    const offered = this.regions?.clicksAt(point, keep, width) ?? [
      simplified({ points: [point], width, keep }),
    ];
    const step = Math.min(this.more.value, offered.length - 1);
    return { stroke: offered[step], point, offered, step, isMore: false };
  }

  /** Mark what a click marks at a point; return its stroke. */
  click(point, keep) {
    const clicked = this.clickAt(point, keep);
    (clicked.isMore ? replaceLast : add)(this.#painting.photo, clicked.stroke);
    this.#clicked = clicked;
    this.more.value = 0;
    this.#judge(point);
    return clicked.stroke;
  }

  down(point, event) {
    if (event.button > 0 || isFull(this.#painting.photo)) return false;
    const place = this.#within(point);
    this.#line = { points: [place], width: brushWidth(this.#photo), keep: this.keepsAt(place) };
    if (this.regions) this.#line.snap = "region";
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
    this.#painting.drawing.value = this.#line;
    this.above.value = point;
  }

  up(point, event) {
    // A lifted finger has no position.
    if (event.pointerType === "touch") this.above.value = null;
    const { drawing, photo } = this.#painting;
    const [start] = this.#line.points;
    batch(() => {
      if (drawing.value === null) this.click(start);
      else {
        add(photo, simplified(drawing.value));
        this.#clicked = null;
        this.#judge(start);
      }
      drawing.value = null;
    });
  }

  /** Offer larger parts, or smaller ones; return whether the brush follows edges at all. */
  wheel(delta) {
    if (!this.regions || this.above.value === null) return false;
    this.more.value = Math.max(0, this.more.value + (delta < 0 ? 1 : -1));
    return true;
  }

  cancel() {
    this.above.value = null;
    this.#painting.drawing.value = null;
  }

  hover(point) {
    if (point === null || !this.#isNear(point, this.above.value)) this.more.value = 0;
    this.above.value = point;
  }

  get isDrawing() {
    return this.#painting.drawing.value !== null;
  }

  /** Return the last click, if it was at this point and its stroke is still the last. */
  #lastAt([x, y]) {
    const last = this.#clicked;
    if (last === null || strokesOf(this.#painting.photo).at(-1) !== last.stroke) return null;
    return this.#isNear({ x, y }, { x: last.point[0], y: last.point[1] }) ? last : null;
  }

  #isNear(point, other) {
    if (other === null) return false;
    return Math.hypot(point.x - other.x, point.y - other.y) * this.#view.scale.value < STILL_PX;
  }

  #judge(point) {
    const { regions } = this;
    this.isCoarse.value = regions !== null && regions.isMuchLarger(point, brushWidth(this.#photo));
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

/** The part that a click would mark; what it would keep is shown as in the photo. */
function Preview({ brush, painting, view }) {
  const canvas = useRef(null);
  const { photo } = view.space.value;
  const { regions, above, isDrawing } = brush;
  const { x, y } = above.value ?? {};
  const isOver = x >= 0 && y >= 0 && x < photo.width && y < photo.height;
  const stroke = regions && isOver && !isDrawing ? brush.clickAt([x, y]).stroke : null;
  useLayoutEffect(() => {
    if (stroke === null) return;
    const [mask] = regions.masksOf([stroke]);
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
    context.globalCompositeOperation = "source-atop";
    if (stroke.keep) painting.drawPhoto(context, mask);
    context.globalAlpha = stroke.keep && painting.hasPhoto ? 0.3 : 0.5;
    context.fillStyle = stroke.keep ? KEEP : REMOVE;
    context.fillRect(0, 0, width, height);
  }, [regions, stroke?.keep, stroke?.width, x, y]);
  return html`<canvas class="preview" ref=${canvas} hidden=${stroke === null} />`;
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
