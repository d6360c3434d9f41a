/** Print sizes of the picture, drawn to scale. */

import { html } from "../../../html.js";
import { usePicture } from "../viewer/pictures.js";

// ISO/IEC 7810 ID-1, in cm: a size that most people know.
const CARD = [8.56, 5.398];
const SEEN = { 300: "for close viewing, as in an album", 200: "for viewing at arm's length, as on a wall" };
const GAP_CM = 1;

/** The largest prints, nested, next to a bank card. image: the printed picture. */
export function Sizes({ size, image }) {
  const picture = usePicture(image);
  const prints = [...size.prints].sort((one, other) => other.width_cm - one.width_cm);
  const widest = prints[0].width_cm;
  const highest = Math.max(prints[0].height_cm, CARD[1]);
  // Size of a screen pixel in the drawing, in cm; panels.css limits the drawing to 330 × 240 px.
  const px = Math.max((widest + GAP_CM + CARD[0]) / 330, highest / 240);
  const viewBox = [-px, -px, widest + GAP_CM + CARD[0] + 2 * px, highest + 2 * px].join(" ");
  return html`<figure class="sizes stack">
    <svg viewBox=${viewBox} role="img" aria-label=${prints.map(inWords).join("; ")}>
      ${prints.map((print) => html`<g key=${print.dpi} class=${`dpi-${print.dpi}`}>
        <rect y=${highest - print.height_cm} width=${print.width_cm} height=${print.height_cm} />
        ${picture && html`<image href=${picture.address} y=${highest - print.height_cm}
          width=${print.width_cm} height=${print.height_cm} preserveAspectRatio="xMidYMid slice" />`}
      </g>`)}
      <g class="card" transform=${`translate(${widest + GAP_CM} ${highest - CARD[1]})`}>
        <rect width=${CARD[0]} height=${CARD[1]} rx="0.32" />
        <text x=${CARD[0] / 2} y=${CARD[1] / 2} font-size=${11 * px}>bank card</text></g>
    </svg>
    <figcaption><ul class="stack tight small">
      ${prints.map((print) => html`<li key=${print.dpi} class="row">
        <span class=${`key dpi-${print.dpi}`} aria-hidden="true" />
        <div><p><strong class="figures">${cm(print)}</strong>${` ${paper(print)}`}</p>
          <p class="soft">At ${print.dpi} dpi, ${SEEN[print.dpi]}</p></div></li>`)}
    </ul></figcaption>
  </figure>`;
}

function inWords(print) {
  return `${cm(print)} at ${print.dpi} dpi, ${paper(print)}`;
}

function cm({ width_cm: width, height_cm: height }) {
  return `${width} × ${height} cm`;
}

function paper({ paper: name }) {
  if (name === null) return "smaller than usual paper";
  return name.startsWith("A") ? `fills ${name}` : `fills ${name} cm`;
}
