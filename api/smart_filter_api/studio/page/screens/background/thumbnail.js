/** Small preview of a design. */

import { ServiceImage } from "../../controls/service-image.js";
import { html } from "../../html.js";

/** A design's picture; its colors until the picture is loaded, or when there is none. */
export function Thumbnail({ design }) {
  if (design === undefined) return html`<span class="thumbnail" />`;
  const [first, second = first] = design.palette;
  return html`<span class="thumbnail"
    style=${{ backgroundImage: `linear-gradient(135deg, ${first}, ${second})` }}>
    <${ServiceImage} src=${design.thumbnail} alt="" width="240" height="160" loading="lazy"
      decoding="async" instead=${null} />
  </span>`;
}

/** The colors of a design. */
export function Palette({ design }) {
  return html`<span class="palette" aria-hidden="true">
    ${design.palette.map((color) => html`<span key=${color} style=${{ background: color }} />`)}
  </span>`;
}
