/** Failed photos are tried again, unfinished ones are canceled. */

import { Button } from "../../../controls/button.js";
import { Dialog } from "../../../controls/dialog.js";
import { html } from "../../../html.js";
import { run } from "../../../state/bulk.js";
import { act } from "../../../state/choices.js";
import { lookNow } from "../../../state/following.js";
import { counted } from "../../../words.js";
import { stopSelecting } from "../selection.js";
import { Counting, useChoice } from "./counting.js";

/** Dialog for the photos of a choice that have not succeeded. */
export function Unfinished({ choice, onClose }) {
  const { counts, error } = useChoice(choice);
  const begin = (title, action, total) => {
    stopSelecting();
    onClose();
    move(counts, { title, action, total });
  };
  const { failed = 0, unfinished = 0 } = counts ?? {};
  return html`<${Dialog} title="Retry or cancel" onClose=${onClose} actions=${html`
      <${Button} icon="close" disabled=${unfinished === 0}
        onClick=${() => begin("Canceling photos", "cancel", unfinished)}>Cancel ${counted(unfinished, "photo")}<//>
      <${Button} kind="primary" icon="refresh" disabled=${failed === 0}
        onClick=${() => begin("Trying photos again", "redrive", failed)}>Try ${counted(failed, "photo")} again<//>`}>
    <${Counting} counts=${counts} error=${error} />
    ${counts && html`<p>${counted(failed, "photo has", "photos have")} failed, and ${unfinished.toLocaleString()}
      ${unfinished === 1 ? " is" : " are"} not finished yet. The finished ones stay as they are.</p>`}
  <//>`;
}

function move(choice, { title, action, total }) {
  return run(title, async ({ signal, set, fail }) => {
    set({ total });
    let done = 0;
    await act(choice, action, {
      signal,
      onStep: (step) => {
        done += step.done;
        set({ done });
        fail(step.failures);
        lookNow();
      },
    });
    // Some have ended meanwhile.
    set({ total: done });
  });
}
