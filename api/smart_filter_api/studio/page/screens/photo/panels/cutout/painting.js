/** What is painted, and what is kept, as they lie on the picture. */

import { signal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { html } from "../../../../html.js";
import { strokesOf } from "../../../../state/corrections.js";
import { useLatestPicture } from "./latest.js";

const KEEP = "#21c173";
const REMOVE = "#ff4d4f";
const REMOVE_STRIPE = "#8f1020";
// What goes is dimmed; the stripes tell it from what is dark itself.
const FILM = "#17120f";
const FILM_STRIPE = "#4a423b";
// As sharp as most screens show it, and quick to paint on.
const SIDE_PX = 1600;
const MOST_ENLARGED = 3;
const TILE_PX = 16;

/**
 * An overlay (viewer/view.js) that shows the strokes of a photo, and, where the photo is looked at,
 * a film over all that is not kept.
 */
export class Painting {
  /** The stroke that is being drawn, or null. */
  drawing = signal(null);
  /** Of the photo, set by whoever shows it. */
  photoId = null;
  #film = null;

  Layer = (props) => html`<${Painted} painting=${this} ...${props} />`;

  /** Return whether a point, in shares of the photo, is kept; null where nobody knows. */
  isKept([across, down]) {
    const film = this.#film?.current;
    if (!film) return null;
    const x = Math.min(Math.floor(across * film.width), film.width - 1);
    const y = Math.min(Math.floor(down * film.height), film.height - 1);
    return film.getContext("2d").getImageData(x, y, 1, 1).data[3] < 128;
  }

  /** Know the canvas that has the film. */
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
    // Only what is new: a long line stays as quick as a short one.
    paint(lines.current.getContext("2d"), film.current.getContext("2d"), drawing, zoom, done.current);
    done.current = drawing.points.length - 1;
  }, [drawing]);
  const isFilmSeen = bare !== null && mode === "photo";
  return html`<div class="painting" aria-hidden="true">
    <canvas class="film" ref=${film} width=${width} height=${height} hidden=${!isFilmSeen} />
    <canvas class="lines" ref=${lines} width=${width} height=${height} />
  </div>`;
}

/** Return a canvas with the film over all that a matte does not keep. */
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
    // Beyond the frame nothing is kept; there the canvas is bare, which is black too.
    data[at + 3] = 255 - data[at];
  }
  context.putImageData(pixels, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = striped(context, FILM, FILM_STRIPE, 1);
  context.fillRect(0, 0, width, height);
  return canvas;
}

/** Paint a stroke, from one of its points on, as line and as what it does to the film. */
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
  // A canvas draws nothing of a line without length; this much nobody sees.
  if (from === points.length - 1) context.lineTo(startX * zoom + 0.01, startY * zoom);
  for (const [x, y] of points.slice(from + 1)) context.lineTo(x * zoom, y * zoom);
  context.stroke();
}

/** Return a colour with stripes: they are told apart without colours, too. */
function striped(context, colour, stripe, width) {
  const tile = new OffscreenCanvas(TILE_PX, TILE_PX);
  const pen = tile.getContext("2d");
  pen.fillStyle = colour;
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
