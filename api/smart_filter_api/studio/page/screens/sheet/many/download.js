/** The finished pictures of many photos, as they are. */

import { useEffect, useState } from "preact/hooks";
import { Dialog } from "../../../controls/dialog.js";
import { html } from "../../../html.js";
import { picturesOf } from "../../../state/choices.js";
import { counted } from "../../../words.js";
import { stopSelecting } from "../selection.js";
import { Counting, useChoice } from "./counting.js";
import { Names, USUAL_NAME, isPattern } from "./names.js";
import { PlaceButtons } from "./places.js";

/** Dialog that downloads the pictures of a choice. */
export function Download({ choice, onClose }) {
  const { counts, error } = useChoice(choice);
  const [pattern, setPattern] = useState(USUAL_NAME);
  const start = (save) => {
    stopSelecting();
    onClose();
    save(counts, pattern);
  };
  const pictures = counts?.pictures ?? 0;
  const without = counts === null ? 0 : counts.photos - pictures;
  return html`<${Dialog} title=${counts === null ? "Download pictures" : `Download ${counted(pictures, "picture")}`}
    onClose=${onClose} actions=${html`<${PlaceButtons} onSave=${start} isOff=${pictures === 0 || !isPattern(pattern)} />`}>
    <${Counting} counts=${counts} error=${error} />
    ${without > 0 && html`<p class="notice">${counted(without, "photo")} without a finished picture
      ${without === 1 ? " is" : " are"} left out.</p>`}
    <${Names} pattern=${pattern} onChange=${setPattern} examples=${useExamples(counts, pattern)} />
    <p class="soft small">The pictures are saved as they are, in the order of the sheet and in the folders
      that they came in. “Save as” saves them in another size or format.</p>
  <//>`;
}

/** Return the first names that a pattern gives. */
function useExamples(counts, pattern) {
  const [names, setNames] = useState([]);
  useEffect(() => {
    if (counts === null) return undefined;
    if (!isPattern(pattern)) {
      setNames([]);
      return undefined;
    }
    const stop = new AbortController();
    const read = async () => {
      const found = [];
      for await (const { name } of picturesOf(counts, pattern, stop.signal)) {
        if (found.push(name) === 3) break;
      }
      setNames(found);
    };
    // While someone types.
    const timer = setTimeout(() => read().catch(() => setNames([])), 200);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [counts, pattern]);
  return names;
}
