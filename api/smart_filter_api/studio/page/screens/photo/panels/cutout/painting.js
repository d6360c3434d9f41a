/** Drawing of strokes and of the mask on the picture. */

import { signal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { html } from "../../../../html.js";
import { strokesOf } from "../../../../state/corrections.js";
import { useLatestPicture } from "./latest.js";

const KEEP = "#21c173";
const REMOVE = "#ff4d4f";
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
  /** Id of the photo; set by the component that shows it. */
  photoId = null;
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
  const { photo, frame, mode } = view.space.value;
  const matte = useLatestPicture(job.outputs.matte, frame);
  const strokes = strokesOf(painting.photoId);
  const drawing = painting.drawing.value;
  const lines = useRef(null);
  const film = useRef(null);
  const done = useRef(0);
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
  useLayoutEffect(() => {
    done.current = 0;
    const onLines = fresh(lines.current);
    const onFilm = fresh(film.current);
    if (bare) onFilm.drawImage(bare, 0, 0);
    for (const stroke of strokes) paint(onLines, onFilm, stroke, zoom);
  }, [strokes, bare, drawing === null, width, height]);
  useLayoutEffect(() => {
    if (drawing === null) return;
    // Draw only new points, so that long lines stay quick.
    paint(lines.current.getContext("2d"), film.current.getContext("2d"), drawing, zoom, done.current);
    done.current = drawing.points.length - 1;
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

/** Draw a stroke from one of its points on, as a line and as a change of the film. */
function paint(onLines, onFilm, stroke, zoom, from = 0) {
  onLines.strokeStyle = stroke.keep ? KEEP : striped(onLines, REMOVE, REMOVE_STRIPE, 3);
  trace(onLines, stroke, zoom, from);
  onFilm.globalCompositeOperation = stroke.keep ? "destination-out" : "source-over";
  onFilm.strokeStyle = striped(onFilm, FILM, FILM_STRIPE, 1);
  trace(onFilm, stroke, zoom, from);
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
