/** A rating as five partially filled stars. */

import { html } from "../../html.js";

const SIDE = 24;
const FIVE = Array.from(
  { length: 5 },
  (_, index) => `M${12 + SIDE * index} 2.500l2.900 6.200 6.800.8-5 4.600 1.300 6.700-6-3.300-6 3.300 1.300-6.700-5-4.600 6.800-.8z`,
).join("");

/** score: 0 to 1. */
export function Stars({ score }) {
  const words = score.toFixed(2);
  return html`<p class="in-stars" title="Rating, of smiles and open eyes">
    <svg class="stars" viewBox="0 0 120 24" aria-hidden="true">
      <path d=${FIVE} />
      <svg width=${5 * SIDE * score} height=${SIDE}><path class="full" d=${FIVE} /></svg>
    </svg>
    <span class="unseen">Rated </span><span class="figures">${words}</span><span class="unseen"> of 1</span>
  </p>`;
}
