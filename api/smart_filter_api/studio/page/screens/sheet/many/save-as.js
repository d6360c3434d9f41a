/** Other shapes, sizes or formats of many pictures. */

import { useState } from "preact/hooks";
import { Dialog } from "../../../controls/dialog.js";
import { Range, Select } from "../../../controls/fields.js";
import { html } from "../../../html.js";
import { remake } from "../../../state/remaking.js";
import { counted } from "../../../words.js";
import { FORMATS, FRAMINGS, SHAPES, changesOfShape } from "../../shapes.js";
import { stopSelecting } from "../selection.js";
import { Names, USUAL_NAME, isPattern } from "./names.js";
import { PlaceButtons } from "./places.js";

const SAME = { value: "", label: "As it is" };

/** Dialog that makes versions of the photos of a choice and saves them. */
export function SaveAs({ choice, onClose }) {
  const [shape, setShape] = useState("");
  const [framing, setFraming] = useState("");
  const [format, setFormat] = useState("");
  const [quality, setQuality] = useState(90);
  const [pattern, setPattern] = useState(USUAL_NAME);
  const start = (save) => {
    const recipe = changesOfShape({ shape, framing, format, quality });
    stopSelecting();
    onClose();
    remake(choice.wanted, {
      title: "Saving pictures",
      recipe,
      // JPEG has no transparency.
      instead: format === "jpg" ? { ...recipe, format: "auto" } : undefined,
      whole: (made) => save(made, pattern),
    });
  };
  return html`<${Dialog} title=${choice.count === null ? "Save as" : `Save ${counted(choice.count, "photo")} as`} onClose=${onClose}
    actions=${html`<${PlaceButtons} onSave=${start} isOff=${[shape, framing, format].join("") === "" || !isPattern(pattern)} />`}>
    <${Select} label="Shape and size" options=${[{ ...SHAPES[0], label: SAME.label }, ...SHAPES.slice(1)]}
      value=${shape} onChange=${setShape} />
    <${Select} label="Framing" options=${[SAME, ...FRAMINGS]} value=${framing} onChange=${setFraming} />
    <${Select} label="Format" options=${[SAME, ...FORMATS]} value=${format} onChange=${setFormat}
      hint="Transparent pictures stay PNG where JPEG is chosen." />
    ${!["", "png"].includes(format) && html`<${Range} label="Quality" min="40" max="100" value=${quality}
      onInput=${setQuality} />`}
    <${Names} pattern=${pattern} onChange=${setPattern} examples=${[]} />
    <p class="soft small">Choose a shape, a framing or a format: each photo gets another version, and undo leads back
      to the one before. “Download” saves the pictures as they are.</p>
  <//>`;
}
