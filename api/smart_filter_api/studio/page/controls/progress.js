/** Progress bar. */

import { html } from "../html.js";

/** A bar. done: 0 to 1. label: its subject. */
export function Progress({ done, label }) {
  const percent = Math.round(100 * done);
  return html`<div class="progress" role="progressbar" aria-label=${label}
    aria-valuemin="0" aria-valuemax="100" aria-valuenow=${percent}>
    <span style=${{ width: `${percent}%` }} /></div>`;
}
