/** A slider whose value is sent when it is released. */

import { useEffect, useState } from "preact/hooks";
import { Range } from "../../../../controls/fields.js";
import { html } from "../../../../html.js";

/** words: formats the value. atRest: text shown instead while the slider does not move. */
export function Share({ value, onChange, words = percent, atRest = null, ...others }) {
  const [moving, move] = useState(null);
  useEffect(() => move(null), [value]);
  return html`<${Range} min="0" max="1" step="0.05" ...${others} value=${moving ?? value}
    shown=${moving === null ? (atRest ?? words(value)) : words(moving)}
    onInput=${move} onChange=${onChange} />`;
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}
