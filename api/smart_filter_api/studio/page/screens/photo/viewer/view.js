/**
 * What a viewer shows of a picture, and how: mode, zoom, place, and what is laid over it.
 *
 * Three spaces meet here. Photo: pixels of the upright photo, in which the service tells all its
 * coordinates. Frame: pixels of image, cut-out and matte, in which `job.frame` says where the photo
 * lies. Stage: CSS pixels from the top left of the element that shows it all.
 *
 * A panel is given the view of the viewer beside it. To draw on the picture, or to be told of
 * pointers on it, a panel lays an overlay over it for as long as the panel is there:
 *
 *     const [brush] = useState(makeBrush);   // the same object each time
 *     useOverlay(view, brush);
 *
 * See `useOverlay` for what an overlay is. `view.mode.value = "photo"` turns the viewer to what the
 * overlay is about; `view.toPhoto`, `view.scale` and `view.transform` tell where things are.
 */

import { computed, signal } from "@preact/signals";
import { useEffect, useLayoutEffect } from "preact/hooks";

const STEPS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32];
const NEAR = 1.2;
// A small picture is enlarged to fit, but not to a blur.
const FIT_AT_MOST = 3;
const MARGIN_PX = 12;
// From here on pixels are to be seen as squares.
const PIXELS_FROM = 2;

/** How one viewer looks at its picture. */
export class View {
  /** What somebody wants to see: "compare", "image", "photo", "matte" or "cutout". */
  mode = signal("compare");
  /** What a cut-out lies on: "checkerboard", "white", "black" or "accent". */
  ground = signal("checkerboard");
  /** Of what is seen of the picture: the share, from the left, that shows the photo. */
  split = signal(0.5);
  /**
   * What is shown by now, or null: `{mode, photo: {width, height}, frame: {width, height, scale,
   * left, top}}`; `mode` is the former one until the pictures of another are there.
   */
  space = signal(null);
  /** Overlays, the lowest first; `useOverlay` adds to them. */
  overlays = signal([]);
  /** The stage: `{width, height}` in CSS pixels, and how many dots one of them has. */
  stage = signal({ width: 0, height: 0, dots: 1 });

  /** Where somebody has gone: `{x, y}` photo pixels in the middle, `scale`; null: all of it fits. */
  #gone = signal(null);
  #element = null;

  /** beside: a view whose place, mode and ground this one shares, as of a picture to compare with. */
  constructor(beside) {
    if (beside === undefined) return;
    this.mode = beside.mode;
    this.ground = beside.ground;
    this.#gone = beside.#gone;
  }

  /** What is there to be seen, in frame pixels: `[left, top, width, height]`. */
  extent = computed(() => {
    const { photo, frame, mode } = this.space.value;
    if (mode !== "photo") return [0, 0, frame.width, frame.height];
    return [frame.left, frame.top, photo.width * frame.scale, photo.height * frame.scale];
  });

  /** From frame to stage: a point (x, y) is at (x₀ + zoom · x, y₀ + zoom · y); `{x, y, zoom}`. */
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
    // On the grid of dots, so that at 100 % each pixel is one dot.
    const onGrid = (px) => Math.round(px * dots) / dots;
    const x = onGrid(width / 2 - held(middle[0], left, across, width / zoom) * zoom);
    const y = onGrid(height / 2 - held(middle[1], top, down, height / zoom) * zoom);
    return { x, y, zoom };
  });

  /** CSS pixels of the stage for one pixel of the photo. */
  scale = computed(() => this.transform.value.zoom * (this.space.value?.frame.scale ?? 1));
  /** Dots of the screen for one pixel of the picture; 1 is 100 %. */
  magnification = computed(() => this.transform.value.zoom * this.stage.value.dots);
  /** Whether all of the picture is shown as large as fits. */
  isFit = computed(() => this.#gone.value === null);
  /** Whether pixels are to be seen as squares. */
  showsPixels = computed(() => !this.isFit.value && this.magnification.value >= PIXELS_FROM);
  /** The part of the picture that the stage shows, in stage pixels: `{left, top, right, bottom}`. */
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

  /** Return the point of the photo, in its pixels, that is shown at a place of the window. */
  toPhoto(clientX, clientY) {
    const { left, top } = this.#element.getBoundingClientRect();
    return this.#photoAt(clientX - left, clientY - top);
  }

  /** Return where in the window a point of the photo is shown, as `{x, y}`. */
  toClient(x, y) {
    const { left, top } = this.#element.getBoundingClientRect();
    const { frame } = this.space.value;
    const at = this.transform.value;
    return {
      x: left + at.x + at.zoom * (frame.left + frame.scale * x),
      y: top + at.y + at.zoom * (frame.top + frame.scale * y),
    };
  }

  /** Show all of it. */
  fit() {
    this.#gone.value = null;
  }

  /** Show so many dots for each pixel. about: `[clientX, clientY]` that stay where they are. */
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

  /** Go a step nearer (1) or away (-1). */
  step(direction) {
    const now = this.magnification.value;
    const fitting = this.#fitting.value * this.stage.value.dots;
    // Where all of it fits is a stop too, unless a round number is near.
    const isNear = STEPS.some((step) => Math.max(step, fitting) < NEAR * Math.min(step, fitting));
    const steps = [...STEPS, ...(isNear ? [] : [fitting])].sort((one, other) => one - other);
    const next =
      direction > 0
        ? steps.find((step) => step > now * 1.01)
        : steps.findLast((step) => step < now * 0.99);
    if (next !== undefined) this.magnify(next);
  }

  /** Move what is shown by so many CSS pixels. */
  pan(x, y) {
    if (this.space.value === null || this.isFit.value) return;
    const scale = this.scale.value;
    const { width, height } = this.stage.value;
    const middle = this.#photoAt(width / 2 - x, height / 2 - y);
    this.#go(middle.x, middle.y, scale);
  }

  /** Show a box of the photo, `[x, y, width, height]`, with some room around it. */
  show([x, y, width, height]) {
    const { width: stageWidth, height: stageHeight, dots } = this.stage.value;
    const room = 0.45 * Math.min(stageWidth / width, stageHeight / height);
    const most = (4 * this.space.value.frame.scale) / dots;
    this.#go(x + width / 2, y + height / 2, Math.max(Math.min(room, most), this.scale.value));
  }

  /** Know the element that is the stage, and its size. */
  settle(element) {
    this.#element = element;
    const { width, height } = element.getBoundingClientRect();
    this.stage.value = { width, height, dots: devicePixelRatio };
  }

  /** Note where somebody has gone, held to the picture, so that a way back begins at once. */
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
 * Let an element be the stage of a view, as large as it is by now.
 *
 * stage: a ref of the element. space: what is shown (see View), or null for none as yet.
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
 * Lay an overlay over the picture for as long as the calling component is there.
 *
 * overlay: the same object at each call, of any of
 * - `Layer`: a component, given `view` and `job` (the one that is shown). It stands in a box that
 *   covers the photo exactly and moves with zoom and pan: draw with
 *   `<svg viewBox="0 0 ${photo.width} ${photo.height}">` or a canvas of that size, both are
 *   stretched to fit it. Lines of a fixed width: `vector-effect="non-scaling-stroke"`; other sizes:
 *   divide CSS pixels by `view.scale.value`. It gets no pointers of its own.
 * - `down(point, event)`: a pointer was pressed at `{x, y}` of the photo. Return true to claim it:
 *   then `move(point, event)` and `up(point, event)` follow, the picture stays where it is, and
 *   `cancel()` comes in place of `up` when a second finger makes it a pinch. The uppermost overlay
 *   is asked first. The middle button, and the space bar held down, always move the picture.
 * - `hover(point, event)`: a mouse or pen is above that point, pressed nothing; null when it left.
 * - `cursor`: of the mouse over the picture, as CSS has it.
 */
export function useOverlay(view, overlay) {
  useEffect(() => {
    view.overlays.value = [...view.overlays.value, overlay];
    return () => {
      view.overlays.value = view.overlays.value.filter((one) => one !== overlay);
    };
  }, [view, overlay]);
}

/** Return where the middle may be so that the stage shows nothing beside, or it all in the middle. */
function held(middle, start, length, room) {
  if (length <= room) return start + length / 2;
  return Math.min(Math.max(middle, start + room / 2), start + length - room / 2);
}
