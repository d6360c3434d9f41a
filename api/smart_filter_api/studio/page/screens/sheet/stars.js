/** A rating as five partially filled stars. */

import { html } from "../../html.js";

const SIDE = 24;
const FIVE = Array.from(
  { length: 5 },
  (_, index) => `M${12 + SIDE * index} 2.500l2.900 6.200 6.800.8-5 4.600 1.300 6.700-6-3.300-6 3.300 1.300-6.700-5-4.600 6.800-.8z`,
).join("");

/** points: 0 to 100. */
export function Stars({ points }) {
  return html`<p class="in-stars" title="Rating, of smiles and open eyes">
    <svg class="stars" viewBox="0 0 120 24" aria-hidden="true">
      <path d=${FIVE} />
      <svg width=${(SIDE * points) / 20} height=${SIDE}><path class="full" d=${FIVE} /></svg>
    </svg>
    <span class="unseen">Rated </span><span class="figures">${points}</span><span class="unseen"> of 100</span>
  </p>`;
}
