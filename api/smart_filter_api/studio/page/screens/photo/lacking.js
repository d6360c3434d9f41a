/** Notice about an output that a job did not produce, with a button to produce it. */

import { useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { derive } from "../../state/photos.js";
import { useFocusHandedOn } from "./viewer/focus.js";

/** children: the text about the missing outputs. outputs: those to produce. */
export function Lacking({ job, outputs, children }) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const element = useFocusHandedOn();
  const make = async () => {
    if (isBusy) return;
    setBusy(true);
    setError(null);
    try {
      await derive(job, { outputs: [...new Set([...job.recipe.outputs, ...outputs])] });
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  return html`
    <div class="notice row spread wrap" ref=${element}>
      <p>${children}</p>
      <${Button} kind="small" icon="wand" aria-disabled=${isBusy} onClick=${make}>Make it now<//>
    </div>
    ${error && html`<${Trouble} error=${error} />`}`;
}
