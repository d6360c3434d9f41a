/** Drawing of strokes on the picture: what they will make of it, or over the photo, the mask. */

import { signal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { html } from "../../../../html.js";
import { missingIn } from "../../../../state/corrections.js";
import { useLatestPicture } from "./latest.js";

export const KEEP = "#21c173";
export const REMOVE = "#ff4d4f";
const REMOVE_STRIPE = "#8f1020";
// Removed areas are dimmed; stripes distinguish them from dark parts of the photo.
const FILM = "#17120f";
const FILM_STRIPE = "#4a423b";
// Longest side of the canvas: sharp on most screens, and quick to paint on.
const SIDE_PX = 1600;
const MOST_ENLARGED = 3;
const TILE_PX = 16;
// Coverage of 255 above which a pixel is seen in the picture: a tenth.
const SEEN = 25;
// Coverage below which a pixel of the picture shows its background alone.
const BARE = 8;

/**
 * An overlay (viewer/view.js) that shows the strokes of a photo: on a picture what they make of it,
 * over the photo a film on everything that is removed.
 */
export class Painting {
  /** The stroke being drawn, or null. */
  drawing = signal(null);
  /** The photo; set by the component that shows it. */
  photo = null;
  #regions = signal(null);
  #film = null;
  #kept = null;

  Layer = (props) => html`<${Painted} painting=${this} ...${props} />`;

  /** The photo's regions, or null; they may be loaded after all pictures. */
  get regions() {
    return this.#regions.value;
  }

  set regions(regions) {
    this.#regions.value = regions;
  }

  /** Return whether a point, in shares of the photo, is seen in the picture; null if unknown. */
  isSeen([across, down]) {
    const film = this.#film?.current;
    if (!film) return null;
    const x = Math.min(Math.floor(across * film.width), film.width - 1);
    const y = Math.min(Math.floor(down * film.height), film.height - 1);
    return 255 - film.getContext("2d").getImageData(x, y, 1, 1).data[3] > SEEN;
  }

  get hasPhoto() {
    return this.#kept !== null;
  }

  /** Draw the photo below a mask (regions.js) on a canvas of the mask's size. */
  drawPhoto(context, mask) {
    if (this.#kept === null) return;
    const { width, height } = this.#kept;
    const place = [mask.left * width, mask.top * height, mask.width * width, mask.height * height];
    context.drawImage(this.#kept, ...place, 0, 0, mask.canvas.width, mask.canvas.height);
  }

  /** Set the canvas with the film, and one with the photo, or null. */
  settle(film, kept) {
    this.#film = film;
    this.#kept = kept;
  }
}

function Painted({ painting, view, job }) {
  const { regions } = painting;
  const { photo, frame, mode } = view.space.value;
  const matte = useLatestPicture(job.outputs.matte, frame);
  const strokes = missingIn(painting.photo, job);
  const drawing = painting.drawing.value;
  const lines = useRef(null);
  const film = useRef(null);
  const result = useRef(null);
  /** What the canvases show: strokes, and those of them and of their points that are drawn live. */
  const done = useRef({ strokes: [], live: null, points: 0 });
  const zoom = Math.min(MOST_ENLARGED, SIDE_PX / Math.max(photo.width, photo.height));
  const width = Math.round(photo.width * zoom);
  const height = Math.round(photo.height * zoom);
  const bare = useMemo(
    () => matte && filmOf(matte, { width, height, zoom }),
    [matte, width, height],
  );
  const under = useUnder({ job, view, matte, width, height, zoom });
  useLayoutEffect(() => {
    painting.settle(bare ? film : null, under?.kept ?? null);
    return () => painting.settle(null, null);
  }, [painting, bare, under]);
  const all = [lines, film, result];
  const canvases = () => all.map(({ current }) => current.getContext("2d"));
  const empty = () => {
    const contexts = all.map(({ current }) => fresh(current));
    if (bare) contexts[1].drawImage(bare, 0, 0);
    return contexts;
  };
  useLayoutEffect(() => {
    paint(empty(), strokes, { zoom, regions, under });
    done.current = { strokes, live: null, points: 0 };
  }, [bare, regions, under, width, height]);
  useLayoutEffect(() => {
    if (drawing !== null) return;
    // Draw only new strokes, so that many stay quick.
    const { strokes: former, live } = done.current;
    const isMore = live === null && former.every((stroke, index) => stroke === strokes[index]);
    const contexts = isMore ? canvases() : empty();
    paint(contexts, isMore ? strokes.slice(former.length) : strokes, { zoom, regions, under });
    done.current = { strokes, live: null, points: 0 };
  }, [strokes.length, strokes.at(-1), drawing === null]);
  useLayoutEffect(() => {
    if (drawing === null) return;
    // Draw only new points, so that long lines stay quick.
    paint(canvases(), [drawing], { zoom, regions, under, from: done.current.points });
    Object.assign(done.current, { live: drawing, points: drawing.points.length - 1 });
  }, [drawing]);
  const isPhoto = mode === "photo";
  const shows = { film: isPhoto && bare !== null, result: !isPhoto && under !== null };
  return html`<div class="painting" aria-hidden="true" data-regions=${regions !== null}>
    <canvas class="film" ref=${film} width=${width} height=${height} hidden=${!shows.film} />
    <canvas class="result" ref=${result} width=${width} height=${height} hidden=${!shows.result} />
    <canvas class="lines" ref=${lines} width=${width} height=${height} hidden=${shows.result} />
  </div>`;
}

/**
 * Return what lies under the people of a picture and what may be added to them, as canvases:
 * `{behind, kept}`, or null until their pictures are loaded, or where the view shows neither.
 */
function useUnder({ job, view, matte, width, height, zoom }) {
  const { frame, mode } = view.space.value;
  const image = useLatestPicture(job.outputs.image, frame);
  const photo = useLatestPicture(job.links.photo)?.picture;
  const ground = mode === "cutout" ? view.ground.value : null;
  const isBare = ground !== null || job.recipe.background === "transparent";
  return useMemo(() => {
    if (!photo || !matte || !image || !["image", "compare", "cutout"].includes(mode)) return null;
    const kept = new OffscreenCanvas(width, height);
    kept.getContext("2d").drawImage(photo.element, 0, 0, width, height);
    const size = { width, height, zoom };
    return { kept, behind: isBare ? groundOf(ground, size) : behindOf(image, matte, size) };
  }, [photo, matte, image, mode, ground, isBare, width, height]);
}

/** Return a canvas with the ground of a cutout (viewer/layers.js). */
function groundOf(ground, { width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const colors = ["--check-1", "--check-2"].map((name) => style.getPropertyValue(name));
  const plain = { white: "#fff", black: "#000", accent: style.getPropertyValue("--accent") }[ground];
  context.fillStyle = plain ?? colors[0];
  context.fillRect(0, 0, width, height);
  context.fillStyle = colors[1];
  for (let y = 0; !plain && y < height; y += TILE_PX) {
    for (let x = y % (2 * TILE_PX); x < width; x += 2 * TILE_PX) context.fillRect(x, y, TILE_PX, TILE_PX);
  }
  return canvas;
}

/**
 * Return a canvas with a picture's background, below the people too: there, what surrounds them is
 * spread from ever smaller copies.
 */
function behindOf({ picture, about: frame }, matte, { width, height, zoom }) {
  const mask = drawn(matte, { width, height, zoom });
  const pixels = mask.getImageData(0, 0, width, height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    pixels.data[at + 3] = pixels.data[at] < BARE ? 255 : 0;
  }
  mask.putImageData(pixels, 0, 0);
  mask.globalCompositeOperation = "source-in";
  draw(mask, picture, frame, zoom);
  const levels = [mask.canvas];
  while (Math.max(levels[0].width, levels[0].height) > 2) {
    const [last] = levels;
    const half = new OffscreenCanvas(Math.ceil(last.width / 2), Math.ceil(last.height / 2));
    half.getContext("2d").drawImage(last, 0, 0, half.width, half.height);
    levels.unshift(half);
  }
  // Drawn over itself, a half transparent copy becomes opaque.
  for (const [index, level] of levels.entries()) {
    const context = level.getContext("2d");
    context.globalCompositeOperation = "destination-over";
    const below = levels[Math.max(index - 1, 0)];
    for (let again = 0; again < 8; again += 1) context.drawImage(below, 0, 0, level.width, level.height);
  }
  return mask.canvas;
}

/** Return the context of a new canvas over the photo, with a picture in its frame on it. */
function drawn({ picture, about: frame }, { width, height, zoom }) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  draw(context, picture, frame, zoom);
  return context;
}

function draw(context, picture, frame, zoom) {
  const scale = zoom / frame.scale;
  context.drawImage(
    picture.element,
    -frame.left * scale,
    -frame.top * scale,
    frame.width * scale,
    frame.height * scale,
  );
}

/** Return a canvas with the film over everything outside a matte. */
function filmOf(matte, { width, height, zoom }) {
  const context = drawn(matte, { width, height, zoom });
  const pixels = context.getImageData(0, 0, width, height);
  const { data } = pixels;
  for (let at = 0; at < data.length; at += 4) {
    // Outside the frame the canvas is transparent black, which means removed too.
    data[at + 3] = 255 - data[at];
  }
  context.putImageData(pixels, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = striped(context, FILM, FILM_STRIPE, 1);
  context.fillRect(0, 0, width, height);
  return context.canvas;
}

/** Draw strokes, a single exact one from one of its points on, on all canvases. */
function paint(contexts, strokes, { zoom, regions, under, from = 0 }) {
  for (const stroke of strokes) {
    if (!stroke.snap) {
      color(contexts, stroke.keep, under, (context) => trace(context, stroke, zoom, from));
      continue;
    }
    // Regions are drawn once they are loaded.
    for (const mask of regions?.masksOf([stroke]) ?? []) {
      color(contexts, stroke.keep, under, (context) => fillMask(context, mask));
    }
  }
}

/** Set the colors of all canvases for what is kept or removed, and draw on each. */
function color([lines, film, result], keep, under, draw) {
  film.globalCompositeOperation = keep ? "destination-out" : "source-over";
  lines.strokeStyle = keep ? KEEP : striped(lines, REMOVE, REMOVE_STRIPE, 3);
  film.strokeStyle = striped(film, FILM, FILM_STRIPE, 1);
  draw(lines);
  draw(film);
  if (!under) return;
  result.strokeStyle = result.createPattern(keep ? under.kept : under.behind, "no-repeat");
  draw(result);
}

/** Fill the area of a mask (regions.js) with the color of strokes. */
function fillMask(context, mask) {
  const [left, top, right, bottom] = [
    mask.left * context.canvas.width,
    mask.top * context.canvas.height,
    (mask.left + mask.width) * context.canvas.width,
    (mask.top + mask.height) * context.canvas.height,
  ];
  const [x, y] = [Math.floor(left), Math.floor(top)];
  const colored = new OffscreenCanvas(Math.ceil(right) - x, Math.ceil(bottom) - y).getContext("2d");
  colored.drawImage(mask.canvas, left - x, top - y, right - left, bottom - top);
  colored.globalCompositeOperation = "source-in";
  colored.translate(-x, -y);
  colored.fillStyle = context.strokeStyle;
  colored.fillRect(x, y, colored.canvas.width, colored.canvas.height);
  context.drawImage(colored.canvas, x, y);
}

function trace(context, { points, width }, zoom, from) {
  context.lineWidth = width * zoom;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.beginPath();
  const [startX, startY] = points[from];
  context.moveTo(startX * zoom, startY * zoom);
  // A canvas does not draw a line of zero length; this offset is invisible.
  if (from === points.length - 1) context.lineTo(startX * zoom + 0.01, startY * zoom);
  for (const [x, y] of points.slice(from + 1)) context.lineTo(x * zoom, y * zoom);
  context.stroke();
}

/** Return a color with stripes, which stay distinguishable without color. */
function striped(context, color, stripe, width) {
  const tile = new OffscreenCanvas(TILE_PX, TILE_PX);
  const pen = tile.getContext("2d");
  pen.fillStyle = color;
  pen.fillRect(0, 0, TILE_PX, TILE_PX);
  pen.strokeStyle = stripe;
  pen.lineWidth = width;
  for (const start of [-TILE_PX, 0, TILE_PX]) {
    pen.beginPath();
    pen.moveTo(start - width, TILE_PX + width);
    pen.lineTo(start + TILE_PX + width, -width);
    pen.stroke();
  }
  return context.createPattern(tile, "repeat");
}

function fresh(canvas) {
  const context = canvas.getContext("2d");
  context.globalCompositeOperation = "source-over";
  context.clearRect(0, 0, canvas.width, canvas.height);
  return context;
}
