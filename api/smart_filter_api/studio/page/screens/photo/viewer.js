/** The picture at large. */

import { html } from "../../html.js";

/** What is shown of a photo. */
export function Viewer({ photo }) {
  const job = photo.current;
  return html`<figure class="viewer">
    ${job.outputs.image && html`<img class="checkerboard" src=${job.outputs.image} alt="The finished picture" />`}
  </figure>`;
}
