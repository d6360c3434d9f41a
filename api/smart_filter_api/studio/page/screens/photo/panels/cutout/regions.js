/**
 * Regions of the photo: a click marks a part, and a line the small regions below it, so that both
 * end at the photo's edges. The service computes them (docs/api/outputs.md, `regions`).
 */

import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useLatestPicture } from "./latest.js";

/** Whether clicks and lines mark regions. */
export const followsEdges = signal(true);

const PART_BITS = 12;
const KEPT = 1;
const REMOVED = 2;
// A line marks a region from this share of its area on: what a person paints over in a hurry.
const COVERED = 0.35;

/** Return the regions of a job's photo; null until they are loaded, or if the job has none. */
export function useRegions(job) {
  const picture = useLatestPicture(job.outputs.regions)?.picture;
  return useMemo(() => (picture ? new Regions(picture, job.photo) : null), [picture]);
}

class Regions {
  #photo;
  #width;
  #height;
  /** The small region of each pixel of the map. */
  #small;
  #parts = [];
  #areas = [];
  /** A pixel of each small region. */
  #pixels = [];
  /** A canvas of the map's size, for the line being drawn. */
  #line;

  constructor({ element, width, height }, photo) {
    this.#photo = photo;
    this.#width = width;
    this.#height = height;
    const canvas = new OffscreenCanvas(width, height);
    this.#line = canvas.getContext("2d", { willReadFrequently: true });
    this.#line.drawImage(element, 0, 0);
    const { data } = this.#line.getImageData(0, 0, width, height);
    this.#small = Uint16Array.from({ length: width * height }, (_, pixel) => {
      const packed = (data[4 * pixel] << 16) | (data[4 * pixel + 1] << 8) | data[4 * pixel + 2];
      const small = packed >> PART_BITS;
      this.#parts[small] = packed % (1 << PART_BITS);
      this.#areas[small] = (this.#areas[small] ?? 0) + 1;
      this.#pixels[small] ??= pixel;
      return small;
    });
  }

  /** Return the number of the part at a point of the photo. */
  partAt(point) {
    return this.#parts[this.#smallAt(point)];
  }

  /** Return the share of the photo that a stroke marks. */
  shareOf(stroke) {
    const isMarked = this.#markedBy(stroke);
    const area = this.#areas.reduce((sum, one, small) => sum + (isMarked[small] ? one : 0), 0);
    return area / this.#small.length;
  }

  /**
   * Return the stroke that marks the small regions below a line; at least that at its end.
   *
   * former: the stroke of the same line before it became longer; its points come first.
   */
  follow({ points, width, keep }, former) {
    const line = this.#line;
    const places = points.map((point) => this.#onMap(point));
    const reach = (width * this.#width) / this.#photo.width / 2;
    const [left, right] = spanOf(places.map(([x]) => x), reach, this.#width);
    const [top, bottom] = spanOf(places.map(([, y]) => y), reach, this.#height);
    line.clearRect(left, top, right - left, bottom - top);
    line.lineWidth = 2 * reach;
    line.lineCap = "round";
    line.lineJoin = "round";
    line.beginPath();
    for (const place of [places[0], ...places]) line.lineTo(...place);
    line.stroke();
    const { data } = line.getImageData(left, top, right - left, bottom - top);
    const covered = new Uint32Array(this.#areas.length);
    let at = 3;
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1, at += 4) {
        covered[this.#small[y * this.#width + x]] += data[at] >> 7;
      }
    }
    const wasMarked = former ? this.#markedBy(former) : [];
    const marked = this.#pixels.filter(
      (_, small) => !wasMarked[small] && covered[small] >= COVERED * this.#areas[small],
    );
    if (!former && marked.length === 0) marked.push(this.#pixels[this.#smallAt(points.at(-1))]);
    const added = marked.map((pixel) => this.#pointOf(pixel));
    return { points: [...(former?.points ?? []), ...added], keep, snap: "region" };
  }

  /**
   * Return where strokes keep and where they remove; the later one counts: `{keep, canvas, left, top,
   * width, height}`, a canvas that is opaque there and a pixel beyond, and its box, in shares of the
   * photo.
   */
  *masksOf(strokes) {
    const marks = new Uint8Array(this.#areas.length);
    for (const stroke of strokes) {
      this.#markedBy(stroke).forEach((isMarked, small) => {
        if (isMarked) marks[small] = stroke.keep ? KEPT : REMOVED;
      });
    }
    for (const mark of [KEPT, REMOVED]) {
      if (marks.includes(mark)) yield { keep: mark === KEPT, ...this.#mask(marks, mark) };
    }
  }

  #mask(marks, mark) {
    const [width, height] = [this.#width, this.#height];
    const pixels = new ImageData(width, height);
    const opaque = new Uint32Array(pixels.data.buffer);
    let [left, top, right, bottom] = [width, height, 0, 0];
    for (let y = 0, pixel = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, pixel += 1) {
        if (marks[this.#small[pixel]] !== mark) continue;
        left = Math.min(left, x);
        top = Math.min(top, y);
        right = Math.max(right, x);
        bottom = y;
        // The model's outline is faint for some pixels, which go with the region.
        opaque[pixel] = ~0;
        opaque[pixel - width] = ~0;
        opaque[pixel + width] = ~0;
        if (x > 0) opaque[pixel - 1] = ~0;
        if (x < width - 1) opaque[pixel + 1] = ~0;
      }
    }
    left = Math.max(left - 1, 0);
    top = Math.max(top - 1, 0);
    const box = [Math.min(right + 2, width) - left, Math.min(bottom + 2, height) - top];
    const canvas = new OffscreenCanvas(...box);
    canvas.getContext("2d").putImageData(pixels, -left, -top);
    return {
      canvas,
      left: left / width,
      top: top / height,
      width: box[0] / width,
      height: box[1] / height,
    };
  }

  #markedBy({ points, snap }) {
    const isMarked = new Uint8Array(this.#areas.length);
    for (const point of points) isMarked[this.#smallAt(point)] = 1;
    if (snap !== "part") return isMarked;
    const parts = new Set(this.#parts.filter((_, small) => isMarked[small]));
    return isMarked.map((_, small) => (parts.has(this.#parts[small]) ? 1 : 0));
  }

  #smallAt(point) {
    const [x, y] = this.#onMap(point).map(Math.floor);
    return this.#small[
      Math.min(y, this.#height - 1) * this.#width + Math.min(x, this.#width - 1)
    ];
  }

  #onMap([x, y]) {
    return [(x * this.#width) / this.#photo.width, (y * this.#height) / this.#photo.height];
  }

  /** Return the center of a pixel of the map, as a point of the photo. */
  #pointOf(pixel) {
    return [
      (((pixel % this.#width) + 0.5) * this.#photo.width) / this.#width,
      ((Math.floor(pixel / this.#width) + 0.5) * this.#photo.height) / this.#height,
    ];
  }
}

/** Return the first and the last pixel, exclusive, that a line of some width can cover. */
function spanOf(places, reach, length) {
  const first = Math.floor(Math.min(...places) - reach - 1);
  return [Math.max(first, 0), Math.min(Math.ceil(Math.max(...places) + reach + 1), length)];
}
