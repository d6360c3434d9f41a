/** What a design looks like, small. */

import { html } from "../../../../html.js";

/** A design's picture; its colours stand there until it has come, and where there is none. */
export function Thumbnail({ design }) {
  if (design === undefined) return html`<span class="thumbnail" />`;
  const [first, second = first] = design.palette;
  return html`<span class="thumbnail"
    style=${{ backgroundImage: `linear-gradient(135deg, ${first}, ${second})` }}>
    <img src=${design.thumbnail} alt="" width="240" height="160" loading="lazy" decoding="async"
      onError=${(event) => event.currentTarget.remove()} />
  </span>`;
}

/** The colours of a design. */
export function Palette({ design }) {
  return html`<span class="palette" aria-hidden="true">
    ${design.palette.map((colour) => html`<span key=${colour} style=${{ background: colour }} />`)}
  </span>`;
}
