/** The photo's own background, blurred. */

import { useEffect, useState } from "preact/hooks";
import { Range } from "../../../../controls/fields.js";
import { html } from "../../../../html.js";
import { change } from "../../../../state/changes.js";
import { split } from "../../../background/names.js";

/** Amount of blur; the picture updates when the slider is released. */
export function Blur({ photo, recipe }) {
  const [kind, said] = split(recipe.background);
  const strength = kind === "blur" ? Number(said) : 0.5;
  const [moving, move] = useState(strength);
  useEffect(() => move(strength), [strength]);
  return html`<${Range} label="How much" min="0" max="1" step="0.05" value=${moving}
    shown=${`${Math.round(100 * moving)} %`} onInput=${move}
    onChange=${(value) => change(photo, { background: `blur:${value}` })} />`;
}
