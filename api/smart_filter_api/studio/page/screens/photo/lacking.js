/** What a job was not asked for, and the way to have it made. */

import { useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { derive } from "../../state/photos.js";
import { useFocusHandedOn } from "./viewer/focus.js";

/** Say that something was not asked for, in the words of children, and make these outputs. */
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

/** Whether the time of a job's results is over. */
export function isOver(job) {
  return job.expires_at !== null && Date.parse(job.expires_at) <= Date.now();
}
