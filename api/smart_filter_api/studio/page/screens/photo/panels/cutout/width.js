/** Width of the brush. */

import { signal } from "@preact/signals";

/** Narrowest brush, as a share of the photo's longer side. */
const NARROWEST = 0.004;
const WIDEST = 0.3;
/** Widest brush that the service accepts (docs/api/corrections.md). */
export const MOST_PX = 2_000;
const LEAST_PX = 1;
const STEP = 5;

/** In steps of 0 to 100, on a logarithmic scale. */
export const size = signal(55);

/** Make the brush wider (1) or narrower (-1). */
export function resize(direction) {
  size.value = Math.min(Math.max(size.value + STEP * direction, 0), 100);
}

/** Return the width of the brush on a photo, in its pixels. */
export function brushWidth({ width, height }) {
  const share = NARROWEST * (WIDEST / NARROWEST) ** (size.value / 100);
  return Math.min(Math.max(LEAST_PX, share * Math.max(width, height)), MOST_PX);
}
