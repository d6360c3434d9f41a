/** Simplifies hand-drawn lines to few points. */

/** Limit of points per stroke (docs/api/corrections.md). */
const MOST_POINTS = 2_000;
// Tolerance as a share of the brush's width; the brush hides smaller deviations.
const LEFT_OUT = 1 / 40;
const LEAST_PX = 0.5;

/** Return a stroke as it is sent: simplified, in tenths of a pixel. */
export function simplified({ points, width, ...stroke }) {
  let tolerance = Math.max(LEAST_PX, width * LEFT_OUT);
  let fewer = mattering(points, tolerance);
  while (fewer.length > MOST_POINTS) {
    tolerance *= 2;
    fewer = mattering(points, tolerance);
  }
  return { points: fewer.map(([x, y]) => [tenths(x), tenths(y)]), width: tenths(width), ...stroke };
}

/**
 * Return the points of a line that keep it within a tolerance.
 *
 * Source: Douglas and Peucker 1973.
 */
function mattering(points, tolerance) {
  const matters = new Set([0, points.length - 1]);
  const open = [[0, points.length - 1]];
  while (open.length > 0) {
    const [start, end] = open.pop();
    let furthest = tolerance;
    let index = null;
    for (let between = start + 1; between < end; between += 1) {
      const apart = distance(points[between], points[start], points[end]);
      if (apart > furthest) [furthest, index] = [apart, between];
    }
    if (index === null) continue;
    matters.add(index);
    open.push([start, index], [index, end]);
  }
  return points.filter((_, index) => matters.has(index));
}

/** Return the distance of a point from the line through two others. */
function distance([x, y], [startX, startY], [endX, endY]) {
  const across = endX - startX;
  const down = endY - startY;
  const length = across * across + down * down;
  const along = length === 0 ? 0 : ((x - startX) * across + (y - startY) * down) / length;
  const share = Math.min(Math.max(along, 0), 1);
  return Math.hypot(x - startX - share * across, y - startY - share * down);
}

/** Return a length in tenths of a pixel. */
export function tenths(px) {
  return Math.round(px * 10) / 10;
}
