/** One background for many photos. */

import { useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Dialog } from "../../../controls/dialog.js";
import { Select } from "../../../controls/fields.js";
import { html } from "../../../html.js";
import { FIRST_CHOICE, backgroundOf, changesTo, isComplete } from "../../../state/background-choice.js";
import { remake } from "../../../state/remaking.js";
import { counted } from "../../../words.js";
import { BackgroundChoice, choiceInWords } from "../../background/choice.js";
import { DesignGrid } from "../../background/design-grid.js";
import { FRAMINGS } from "../../shapes.js";
import { stopSelecting } from "../selection.js";

/** The last choice, offered again. */
let last = { ...FIRST_CHOICE, kind: "design" };

/** Dialog that gives the photos of a choice a background. */
export function Background({ choice: photos, onClose }) {
  const [choice, setChoice] = useState(last);
  const [framing, setFraming] = useState("");
  const set = (changed) => setChoice((before) => ({ ...before, ...changed }));
  const start = () => {
    last = choice;
    const background = backgroundOf(choice);
    const recipe = { ...changesTo(background, {}), ...framingOf(framing) };
    remake(photos.wanted, {
      title: `Background: ${choiceInWords(choice)}`,
      recipe,
      // JPEG has no transparency.
      instead: background === "transparent" ? { ...recipe, format: "auto" } : undefined,
      file: background === "file" ? choice.picture : undefined,
      isBehind: framing === "",
    });
    stopSelecting();
    onClose();
  };
  return html`<${Dialog} title=${photos.count === null ? "Background" : `Background of ${counted(photos.count, "photo")}`} onClose=${onClose}
    actions=${html`<${Button} onClick=${onClose}>Cancel<//>
      <${Button} kind="primary" icon="check" disabled=${!isComplete(choice)} onClick=${start}>
        ${photos.count === 1 ? "Change it" : `Change all ${photos.count?.toLocaleString() ?? ""}`}<//>`}>
    <div class="wanted wide">
      <${BackgroundChoice} label="Background" choice=${choice} onChange=${set} hasGrid />
    </div>
    ${choice.kind === "design" && html`<${DesignGrid} current=${choice.design}
      onPick=${(design) => set({ design })} />`}
    <${Select} label="Framing" value=${framing} onChange=${setFraming}
      options=${[{ value: "", label: "As it is" }, ...FRAMINGS]} />
  <//>`;
}

function framingOf(framing) {
  if (framing === "") return {};
  return framing === "false" ? { crop: null, margin: null } : { crop: framing };
}
