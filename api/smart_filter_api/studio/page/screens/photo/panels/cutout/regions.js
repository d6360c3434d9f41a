/**
 * Regions of the photo: a click marks a part, and a line the small regions below it, as far as the
 * brush reaches, so that both end at the photo's edges. The service computes them
 * (docs/api/outputs.md, `regions`), and marks the same (workers, apply_corrections.py).
 */

import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useLatestPicture } from "./latest.js";
import { tenths } from "./lines.js";
import { MOST_PX } from "./width.js";

/** Whether clicks and lines mark regions. */
export const followsEdges = signal(true);

const PART_BITS = 12;
// A thinner line would mark no pixel of the map.
const THINNEST = 1.5;
const HALF = 128;
const KEPT = 1;
const REMOVED = 2;
// A line marks a region from this share of its area on, whether or not its center crosses the part.
const COVERED = 0.35;
// Each further click at a place reaches this many times as far.
const GROWTH = 2.5;
// A part of this many times the brush's area is better painted exactly.
const MUCH_LARGER = 12;
// Largest share of the photo that a click brings back: larger parts are background.
const MOST_KEPT = 1 / 12;

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
      return small;
    });
  }

  /** Return the number of the part at a point of the photo. */
  partAt(point) {
    return this.#parts[this.#smallAt(point)];
  }

  /** Return the share of the photo that a stroke marks. */
  shareOf(stroke) {
    return this.#markedBy(stroke, null, 0) / this.#small.length;
  }

  /** Return whether the part at a point is much larger than a brush there. */
  isMuchLarger(point, width) {
    const part = this.partAt(point);
    const area = this.#areas.reduce((sum, one, small) => sum + (this.#parts[small] === part ? one : 0), 0);
    const reach = this.#reachOf(width);
    return area > MUCH_LARGER * Math.PI * reach * reach;
  }

  /** Return the strokes that a click offers, each marking more than the one before it. */
  clicksAt(point, keep, brushWidth) {
    const stroke = { points: [point], keep, snap: "part" };
    const whole = this.shareOf(stroke);
    const offered = [];
    let share = 0;
    for (let width = brushWidth; share < whole; width *= GROWTH) {
      const limited = width < MOST_PX ? { ...stroke, width: tenths(width) } : stroke;
      const reached = limited === stroke ? whole : this.shareOf(limited);
      if (offered.length > 0 && keep && reached > MOST_KEPT) break;
      if (reached > share) offered.push(reached < whole ? limited : stroke);
      share = reached;
    }
    return offered;
  }

  /**
   * Return where strokes keep and where they remove; the later one counts: `{keep, canvas, left, top,
   * width, height}`, a canvas that is opaque there and a pixel beyond, and its box, in shares of the
   * photo.
   */
  *masksOf(strokes) {
    const marks = new Uint8Array(this.#small.length);
    for (const stroke of strokes) this.#markedBy(stroke, marks, stroke.keep ? KEPT : REMOVED);
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
        if (marks[pixel] !== mark) continue;
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

  /** Set the pixels that a stroke marks to `mark`, unless `marks` is null; return their number. */
  #markedBy({ points, width, snap }, marks, mark) {
    const swath = width ? this.#swathOf(points, width) : null;
    const isMarked = new Uint8Array(this.#areas.length);
    for (const point of points) isMarked[this.#smallAt(point)] = 1;
    const isLine = swath && points.length > 1;
    if (isLine) for (const { small } of this.#below(this.#swathOf(points, 0))) isMarked[small] = 1;
    if (swath || snap === "part") {
      const parts = new Set(this.#parts.filter((_, small) => isMarked[small]));
      this.#parts.forEach((part, small) => {
        isMarked[small] = parts.has(part) ? 1 : 0;
      });
    }
    if (isLine && snap === "region") {
      for (const { small, isCovered } of this.#below(swath)) if (isCovered) isMarked[small] = 1;
    }
    const all = { left: 0, top: 0, right: this.#width, bottom: this.#height, data: null };
    const { left, top, right, bottom, data } = swath ?? all;
    let count = 0;
    let at = 3;
    for (let y = top; y < bottom; y += 1) {
      let pixel = y * this.#width + left;
      for (let x = left; x < right; x += 1, at += 4, pixel += 1) {
        if (!isMarked[this.#small[pixel]] || (data && data[at] < HALF)) continue;
        if (marks) marks[pixel] = mark;
        count += 1;
      }
    }
    return count;
  }

  /** Return the small regions below a swath, and whether it covers most of each. */
  *#below({ left, top, right, bottom, data }) {
    const covered = new Map();
    let at = 3;
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1, at += 4) {
        if (data[at] < HALF) continue;
        const small = this.#small[y * this.#width + x];
        covered.set(small, (covered.get(small) ?? 0) + 1);
      }
    }
    for (const [small, count] of covered) {
      yield { small, isCovered: count > COVERED * this.#areas[small] };
    }
  }

  /** Draw a line on the map; return its box and the pixels of that. */
  #swathOf(points, width) {
    const line = this.#line;
    const places = points.map((point) => this.#onMap(point));
    const reach = Math.max(this.#reachOf(width), THINNEST / 2);
    const [left, right] = spanOf(places.map(([x]) => x), reach, this.#width);
    const [top, bottom] = spanOf(places.map(([, y]) => y), reach, this.#height);
    line.clearRect(left, top, right - left, bottom - top);
    line.lineWidth = 2 * reach;
    line.lineCap = "round";
    line.lineJoin = "round";
    line.beginPath();
    // A canvas does not draw a line of zero length; this offset is invisible.
    const [x, y] = places[0];
    for (const place of [[x + 0.01, y], ...places]) line.lineTo(...place);
    line.stroke();
    const { data } = line.getImageData(left, top, right - left, bottom - top);
    return { left, top, right, bottom, data };
  }

  #reachOf(width) {
    return (width * this.#width) / this.#photo.width / 2;
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
}

/** Return the first and the last pixel, exclusive, that a line of some width can cover. */
function spanOf(places, reach, length) {
  const first = Math.floor(Math.min(...places) - reach - 1);
  return [Math.max(first, 0), Math.min(Math.ceil(Math.max(...places) + reach + 1), length)];
}
