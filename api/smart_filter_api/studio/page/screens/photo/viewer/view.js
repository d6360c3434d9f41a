/**
 * State of a viewer: mode, zoom, position and overlays.
 *
 * There are three coordinate spaces. Photo: pixels of the upright photo, in which the service gives
 * all coordinates. Frame: pixels of image, cutout and matte; `job.frame` gives the position of the
 * photo in it. Stage: CSS pixels from the top left of the element that shows the picture.
 *
 * A panel gets the view of the viewer next to it. To draw on the picture, or to receive its pointer
 * events, a panel adds an overlay for as long as the panel is rendered:
 *
 *     const [brush] = useState(makeBrush);   // the same object each time
 *     useOverlay(view, brush);
 *
 * See `useOverlay` for the parts of an overlay. `view.mode.value = "photo"` shows the photo;
 * `view.toPhoto`, `view.scale` and `view.transform` convert coordinates.
 */

import { computed, signal } from "@preact/signals";
import { useEffect, useLayoutEffect } from "preact/hooks";

const STEPS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32];
const NEAR = 1.2;
// Maximum enlargement of a small picture that fits; more would look blurred.
const FIT_AT_MOST = 3;
const MARGIN_PX = 12;
// From this magnification on, pixels are drawn as squares.
const PIXELS_FROM = 2;

/** The view of one viewer. */
export class View {
  /** The mode that the user chose: "compare", "image", "photo", "matte" or "cutout". */
  mode = signal("compare");
  /** Background of a cutout: "checkerboard", "white", "black" or "accent". */
  ground = signal("checkerboard");
  /** Position of the slider: the share of the visible picture, from the left, that shows the photo. */
  split = signal(0.5);
  /**
   * The shown picture, or null: `{mode, photo: {width, height}, frame: {width, height, scale, left,
   * top}}`; `mode` is the previous one until the pictures of another are loaded.
   */
  space = signal(null);
  /** Overlays, lowest first; `useOverlay` adds them. */
  overlays = signal([]);
  /** The stage: `{width, height}` in CSS pixels, and device pixels per CSS pixel. */
  stage = signal({ width: 0, height: 0, dots: 1 });

  /** Position set by the user: `{x, y}` photo pixels at the center, `scale`; null: all of it fits. */
  #gone = signal(null);
  #element = null;

  /** linked: a view whose position, mode and ground this one shares, for comparing pictures. */
  constructor(linked) {
    if (linked === undefined) return;
    this.mode = linked.mode;
    this.ground = linked.ground;
    this.#gone = linked.#gone;
  }

  /** The visible content, in frame pixels: `[left, top, width, height]`. */
  extent = computed(() => {
    const { photo, frame, mode } = this.space.value;
    if (mode !== "photo") return [0, 0, frame.width, frame.height];
    return [frame.left, frame.top, photo.width * frame.scale, photo.height * frame.scale];
  });

  /** Frame to stage: a point (x, y) is at (x₀ + zoom · x, y₀ + zoom · y); `{x, y, zoom}`. */
  transform = computed(() => {
    if (this.space.value === null) return { x: 0, y: 0, zoom: 1 };
    const { frame } = this.space.value;
    const { width, height, dots } = this.stage.value;
    const gone = this.#gone.value;
    const [left, top, across, down] = this.extent.value;
    const zoom = gone === null ? this.#fitting.value : gone.scale / frame.scale;
    const middle =
      gone === null
        ? [left + across / 2, top + down / 2]
        : [frame.left + frame.scale * gone.x, frame.top + frame.scale * gone.y];
    // Aligned to device pixels, so that at 100 % each pixel is one device pixel.
    const onGrid = (px) => Math.round(px * dots) / dots;
    const x = onGrid(width / 2 - held(middle[0], left, across, width / zoom) * zoom);
    const y = onGrid(height / 2 - held(middle[1], top, down, height / zoom) * zoom);
    return { x, y, zoom };
  });

  /** CSS pixels of the stage per pixel of the photo. */
  scale = computed(() => this.transform.value.zoom * (this.space.value?.frame.scale ?? 1));
  /** Device pixels per pixel of the picture; 1 is 100 %. */
  magnification = computed(() => this.transform.value.zoom * this.stage.value.dots);
  /** Whether the whole picture is shown at the size that fits. */
  isFit = computed(() => this.#gone.value === null);
  /** Whether pixels are drawn as squares. */
  showsPixels = computed(() => !this.isFit.value && this.magnification.value >= PIXELS_FROM);
  /** The visible part of the picture, in stage pixels: `{left, top, right, bottom}`. */
  visible = computed(() => {
    const { x, y, zoom } = this.transform.value;
    const { width, height } = this.stage.value;
    const frame = this.space.value?.frame ?? { width: 0, height: 0 };
    return {
      left: Math.max(0, x),
      top: Math.max(0, y),
      right: Math.min(width, x + frame.width * zoom),
      bottom: Math.min(height, y + frame.height * zoom),
    };
  });

  #fitting = computed(() => {
    const { width, height, dots } = this.stage.value;
    const [, , across, down] = this.extent.value;
    const room = Math.min((width - 2 * MARGIN_PX) / across, (height - 2 * MARGIN_PX) / down);
    return Math.max(Math.min(room, FIT_AT_MOST / dots), 1e-3);
  });

  /** Return the point of the photo, in its pixels, at a position in the window. */
  toPhoto(clientX, clientY) {
    const { left, top } = this.#element.getBoundingClientRect();
    return this.#photoAt(clientX - left, clientY - top);
  }

  /** Return the position in the window of a point of the photo, as `{x, y}`. */
  toClient(x, y) {
    const { left, top } = this.#element.getBoundingClientRect();
    const { frame } = this.space.value;
    const at = this.transform.value;
    return {
      x: left + at.x + at.zoom * (frame.left + frame.scale * x),
      y: top + at.y + at.zoom * (frame.top + frame.scale * y),
    };
  }

  /** Fit the whole picture. */
  fit() {
    this.#gone.value = null;
  }

  /** Set the device pixels per pixel. about: `[clientX, clientY]` of the fixed point. */
  magnify(magnification, about) {
    if (this.space.value === null) return;
    const { width, height, dots } = this.stage.value;
    const fitting = this.#fitting.value;
    const least = Math.min(fitting, 1 / dots);
    const zoom = Math.min(Math.max(magnification / dots, least), STEPS.at(-1) / dots);
    if (Math.abs(zoom / fitting - 1) < 1e-3) {
      this.fit();
      return;
    }
    const [stageX, stageY] = about === undefined ? [width / 2, height / 2] : this.#onStage(about);
    const kept = this.#photoAt(stageX, stageY);
    const scale = zoom * this.space.value.frame.scale;
    this.#go(kept.x + (width / 2 - stageX) / scale, kept.y + (height / 2 - stageY) / scale, scale);
  }

  /** Zoom in (1) or out (-1) by one step. */
  step(direction) {
    const now = this.magnification.value;
    const fitting = this.#fitting.value * this.stage.value.dots;
    // The fitting zoom is a step too, unless a round number is near.
    const isNear = STEPS.some((step) => Math.max(step, fitting) < NEAR * Math.min(step, fitting));
    const steps = [...STEPS, ...(isNear ? [] : [fitting])].sort((one, other) => one - other);
    const next =
      direction > 0
        ? steps.find((step) => step > now * 1.01)
        : steps.findLast((step) => step < now * 0.99);
    if (next !== undefined) this.magnify(next);
  }

  /** Pan by CSS pixels. */
  pan(x, y) {
    if (this.space.value === null || this.isFit.value) return;
    const scale = this.scale.value;
    const { width, height } = this.stage.value;
    const middle = this.#photoAt(width / 2 - x, height / 2 - y);
    this.#go(middle.x, middle.y, scale);
  }

  /** Zoom to a box of the photo, `[x, y, width, height]`, with a margin. */
  show([x, y, width, height]) {
    const { width: stageWidth, height: stageHeight, dots } = this.stage.value;
    const room = 0.45 * Math.min(stageWidth / width, stageHeight / height);
    const most = (4 * this.space.value.frame.scale) / dots;
    this.#go(x + width / 2, y + height / 2, Math.max(Math.min(room, most), this.scale.value));
  }

  /** Set the element of the stage, and its size. */
  settle(element) {
    this.#element = element;
    const { width, height } = element.getBoundingClientRect();
    this.stage.value = { width, height, dots: devicePixelRatio };
  }

  /** Set the position, limited to the picture, so that moving back takes effect at once. */
  #go(x, y, scale) {
    const { frame } = this.space.value;
    const { width, height } = this.stage.value;
    const [left, top, across, down] = this.extent.value;
    const zoom = scale / frame.scale;
    const middleX = held(frame.left + frame.scale * x, left, across, width / zoom);
    const middleY = held(frame.top + frame.scale * y, top, down, height / zoom);
    this.#gone.value = {
      x: (middleX - frame.left) / frame.scale,
      y: (middleY - frame.top) / frame.scale,
      scale,
    };
  }

  #onStage([clientX, clientY]) {
    const { left, top } = this.#element.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  #photoAt(stageX, stageY) {
    const { frame } = this.space.value;
    const { x, y, zoom } = this.transform.value;
    return {
      x: ((stageX - x) / zoom - frame.left) / frame.scale,
      y: ((stageY - y) / zoom - frame.top) / frame.scale,
    };
  }
}

/**
 * Make an element the stage of a view, and track its size.
 *
 * stage: a ref of the element. space: the shown picture (see View), or null.
 */
export function useStage(view, stage, space) {
  useLayoutEffect(() => {
    const watch = new ResizeObserver(() => view.settle(stage.current));
    view.settle(stage.current);
    watch.observe(stage.current);
    return () => watch.disconnect();
  }, [view]);
  useLayoutEffect(() => {
    if (space !== null) view.space.value = space;
  }, [view, space]);
}

/**
 * Add an overlay to the picture for as long as the calling component is rendered.
 *
 * overlay: the same object at each call, with any of
 * - `Layer`: a component that gets `view` and `job` (the shown one). Its box covers the photo exactly
 *   and moves with zoom and pan: draw with
 *   `<svg viewBox="0 0 ${photo.width} ${photo.height}">` or a canvas of that size; both are
 *   stretched to the box. Lines of a fixed width: `vector-effect="non-scaling-stroke"`; other
 *   sizes: divide CSS pixels by `view.scale.value`. It gets no pointer events of its own.
 * - `down(point, event)`: a pointer was pressed at `{x, y}` of the photo. Return true to claim it:
 *   then `move(point, event)` and `up(point, event)` follow, the picture does not move, and
 *   `cancel()` replaces `up` when a second finger starts a pinch. The topmost overlay is asked
 *   first. The middle button, and the space bar held down, always pan the picture.
 * - `hover(point, event)`: a mouse or pen is over that point, without a button; null when it left.
 * - `wheel(delta)`: the wheel was turned with Shift held. Return true to claim it.
 * - `cursor`: CSS cursor over the picture.
 */
export function useOverlay(view, overlay) {
  useEffect(() => {
    view.overlays.value = [...view.overlays.value, overlay];
    return () => {
      view.overlays.value = view.overlays.value.filter((one) => one !== overlay);
    };
  }, [view, overlay]);
}

/** Return the center limited so that the stage is filled, or centered if the picture is smaller. */
function held(middle, start, length, room) {
  if (length <= room) return start + length / 2;
  return Math.min(Math.max(middle, start + room / 2), start + length - room / 2);
}
