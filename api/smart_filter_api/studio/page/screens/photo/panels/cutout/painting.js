/** Drawing of strokes and of the mask on the picture. */

import { signal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { html } from "../../../../html.js";
import { strokesOf } from "../../../../state/corrections.js";
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

/**
 * An overlay (viewer/view.js) that shows the strokes of a photo, and, over the photo, a film on
 * everything that is removed.
 */
export class Painting {
  /** The stroke being drawn, or null. */
  drawing = signal(null);
  /** Id of the photo, and its regions or null; set by the component that shows it. */
  photoId = null;
  regions = null;
  #film = null;

  Layer = (props) => html`<${Painted} painting=${this} ...${props} />`;

  /** Return whether a point, in shares of the photo, is kept; null if unknown. */
  isKept([across, down]) {
    const film = this.#film?.current;
    if (!film) return null;
    const x = Math.min(Math.floor(across * film.width), film.width - 1);
    const y = Math.min(Math.floor(down * film.height), film.height - 1);
    return film.getContext("2d").getImageData(x, y, 1, 1).data[3] < 128;
  }

  /** Set the canvas with the film. */
  settle(film) {
    this.#film = film;
  }
}

function Painted({ painting, view, job }) {
  const { regions } = painting;
  const { photo, frame, mode } = view.space.value;
  const matte = useLatestPicture(job.outputs.matte, frame);
  const strokes = strokesOf(painting.photoId);
  const drawing = painting.drawing.value;
  const lines = useRef(null);
  const film = useRef(null);
  /** What the canvases show: strokes, and those of them and of their points that are drawn live. */
  const done = useRef({ strokes: [], live: null, points: 0 });
  const zoom = Math.min(MOST_ENLARGED, SIDE_PX / Math.max(photo.width, photo.height));
  const width = Math.round(photo.width * zoom);
  const height = Math.round(photo.height * zoom);
  const bare = useMemo(
    () => matte && filmOf(matte, { width, height, zoom }),
    [matte, width, height],
  );
  useLayoutEffect(() => {
    painting.settle(bare ? film : null);
    return () => painting.settle(null);
  }, [painting, bare]);
  const canvases = () => [lines, film].map(({ current }) => current.getContext("2d"));
  useLayoutEffect(() => {
    const [onLines, onFilm] = [lines, film].map(({ current }) => fresh(current));
    if (bare) onFilm.drawImage(bare, 0, 0);
    paint(onLines, onFilm, strokes, { zoom, regions });
    done.current = { strokes, live: null, points: 0 };
  }, [bare, regions, width, height]);
  useLayoutEffect(() => {
    if (drawing !== null) return;
    // Draw only new strokes, so that many stay quick; a line of regions is drawn already.
    const { strokes: former, live } = done.current;
    const seen = live === null ? former : [...former, live];
    const isMore = seen.every((stroke, index) => stroke === strokes[index]);
    const [onLines, onFilm] = isMore ? canvases() : [lines, film].map(({ current }) => fresh(current));
    if (!isMore && bare) onFilm.drawImage(bare, 0, 0);
    paint(onLines, onFilm, isMore ? strokes.slice(seen.length) : strokes, { zoom, regions });
    done.current = { strokes, live: null, points: 0 };
  }, [strokes, drawing === null]);
  useLayoutEffect(() => {
    if (drawing === null) return;
    // Draw only new points, so that long lines stay quick.
    const { points } = done.current;
    const next = drawing.snap ? { ...drawing, points: drawing.points.slice(points) } : drawing;
    paint(...canvases(), [next], { zoom, regions, from: points });
    Object.assign(done.current, {
      live: drawing,
      points: drawing.points.length - (drawing.snap ? 0 : 1),
    });
  }, [drawing]);
  const isFilmSeen = bare !== null && mode === "photo";
  return html`<div class="painting" aria-hidden="true">
    <canvas class="film" ref=${film} width=${width} height=${height} hidden=${!isFilmSeen} />
    <canvas class="lines" ref=${lines} width=${width} height=${height} />
  </div>`;
}

/** Return a canvas with the film over everything outside a matte. */
function filmOf({ picture, about: frame }, { width, height, zoom }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const scale = zoom / frame.scale;
  context.drawImage(
    picture.element,
    -frame.left * scale,
    -frame.top * scale,
    frame.width * scale,
    frame.height * scale,
  );
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
  return canvas;
}

/** Draw strokes, a single one from one of its points on, as lines and as a change of the film. */
function paint(onLines, onFilm, strokes, { zoom, regions, from = 0 }) {
  let snapped = [];
  const fill = () => {
    // Regions are drawn once they are loaded.
    for (const mask of snapped.length > 0 ? (regions?.masksOf(snapped) ?? []) : []) {
      color(onLines, onFilm, mask.keep, (context) => fillMask(context, mask));
    }
    snapped = [];
  };
  for (const stroke of strokes) {
    if (stroke.snap) {
      snapped.push(stroke);
      continue;
    }
    fill();
    color(onLines, onFilm, stroke.keep, (context) => trace(context, stroke, zoom, from));
  }
  fill();
}

/** Set the colors of both canvases for what is kept or removed, and draw on each. */
function color(onLines, onFilm, keep, draw) {
  onFilm.globalCompositeOperation = keep ? "destination-out" : "source-over";
  onLines.strokeStyle = keep ? KEEP : striped(onLines, REMOVE, REMOVE_STRIPE, 3);
  onFilm.strokeStyle = striped(onFilm, FILM, FILM_STRIPE, 1);
  draw(onLines);
  draw(onFilm);
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
