/** Outlines of faces on the picture, highlighted from the list or the picture. */

import { signal } from "@preact/signals";
import { html } from "../../../html.js";

const LABEL_PX = 13;
const PADDING_PX = 7;

/** An overlay (viewer/view.js) that outlines the `known` faces and tracks the marked one. */
export class Faces {
  /** Faces of the job. */
  known = [];
  /** Index of the face under the pointer, or null. */
  marked = signal(null);
  /** Whether the pointer is over the picture; all faces are then outlined faintly. */
  #isNear = signal(false);

  Layer = ({ view, job }) => {
    const { width, height } = job.photo;
    const isSeen = this.#isNear.value || this.marked.value !== null;
    return html`<svg class="faces" viewBox=${`0 0 ${width} ${height}`} aria-hidden="true">
      ${isSeen && (job.faces ?? []).map((face, index) => html`<${Outline} key=${index} face=${face}
        number=${index + 1} isMarked=${index === this.marked.value} scale=${view.scale.value} />`)}
    </svg>`;
  };

  hover = (point) => {
    this.#isNear.value = point !== null;
    this.marked.value = point === null ? null : this.#at(point);
  };

  down = (point, event) => {
    // A finger does not hover.
    if (event.pointerType === "touch") this.marked.value = this.#at(point);
    return false;
  };

  #at({ x, y }) {
    const index = this.known.findIndex(({ box: [left, top, width, height] }) =>
      x >= left && x <= left + width && y >= top && y <= top + height);
    return index === -1 ? null : index;
  }
}

function Outline({ face, number, isMarked, scale }) {
  const [x, y, width, height] = face.box;
  const px = 1 / scale;
  const tall = (LABEL_PX + PADDING_PX) * px;
  const wide = (String(number).length * 8 + 2 * PADDING_PX) * px;
  return html`<g class=${isMarked ? "marked" : ""}>
    <rect class="rim" x=${x} y=${y} width=${width} height=${height} rx=${8 * px} />
    <rect class="outline" x=${x} y=${y} width=${width} height=${height} rx=${8 * px} />
    ${isMarked && html`<g transform=${`translate(${x} ${y - tall - 4 * px})`}>
      <rect class="label" width=${wide} height=${tall} rx=${tall / 2} />
      <text x=${wide / 2} y=${tall / 2} font-size=${LABEL_PX * px}>${number}</text></g>`}
  </g>`;
}
