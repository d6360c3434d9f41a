/** How wide the brush is. */

import { signal } from "@preact/signals";

/** Of the photo's longer side. */
const NARROWEST = 0.004;
const WIDEST = 0.3;
/** What one stroke may be wide (docs/contract.md). */
const MOST_PX = 2_000;
const LEAST_PX = 1;
const STEP = 5;

/** In steps of 0 to 100, each wider than the last by the same share. */
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
