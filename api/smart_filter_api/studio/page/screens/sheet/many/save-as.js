/** Other shapes, sizes or formats of many pictures. */

import { useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Dialog } from "../../../controls/dialog.js";
import { Range, Select } from "../../../controls/fields.js";
import { html } from "../../../html.js";
import { patiently } from "../../../state/bulk.js";
import { photoIdOf } from "../../../state/photos.js";
import { remake } from "../../../state/remaking.js";
import { counted } from "../../../words.js";
import { fetchFile } from "../../photo/save/download.js";
import { FORMATS, FRAMINGS, SHAPES, changesOfShape } from "../../shapes.js";
import { stopSelecting } from "../selection.js";
import { PlaceButtons } from "./places.js";

const SAME = { value: "", label: "As it is" };

/** Dialog that makes versions of entries and saves them. */
export function SaveAs({ entries, onClose }) {
  const [shape, setShape] = useState("");
  const [framing, setFraming] = useState("");
  const [format, setFormat] = useState("");
  const [quality, setQuality] = useState(90);
  const start = (place) => {
    const wanted = changesOfShape({ shape, framing, format, quality });
    remake(entries, {
      title: "Saving pictures",
      recipeOf: ({ recipe }) => withoutJpeg(wanted, recipe),
      made: async (job, { signal }) =>
        place.put(await patiently(() => fetchFile(job, "image", { signal }), signal), photoIdOf(job)),
      whole: place.end,
    });
    stopSelecting();
    onClose();
  };
  return html`<${Dialog} title=${`Save ${counted(entries.length, "photo")} as`} onClose=${onClose}
    actions=${html`<${PlaceButtons} onPlace=${start} isOff=${[shape, framing, format].join("") === ""} />`}>
    <${Select} label="Shape and size" options=${[{ ...SHAPES[0], label: SAME.label }, ...SHAPES.slice(1)]}
      value=${shape} onChange=${setShape} />
    <${Select} label="Framing" options=${[SAME, ...FRAMINGS]} value=${framing} onChange=${setFraming} />
    <${Select} label="Format" options=${[SAME, ...FORMATS]} value=${format} onChange=${setFormat}
      hint="Transparent pictures stay PNG where JPEG is chosen." />
    ${!["", "png"].includes(format) && html`<${Range} label="Quality" min="40" max="100" value=${quality}
      onInput=${setQuality} />`}
    <p class="soft small">Choose a shape, a framing or a format: each photo gets another version, and undo leads back
      to the one before. “Download” saves the pictures as they are.</p>
  <//>`;
}

/** JPEG has no transparency. */
function withoutJpeg(wanted, recipe) {
  const isImpossible = recipe.background === "transparent" && wanted.format === "jpg";
  return isImpossible ? { ...wanted, format: "auto" } : wanted;
}
