/** Notice about an output that a job did not produce, with a button to produce it. */

import { useAttempt } from "../../controls/attempt.js";
import { Button } from "../../controls/button.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { derive } from "../../state/photos.js";
import { useFocusHandedOn } from "./viewer/focus.js";

/** children: the text about the missing outputs. outputs: those to produce. */
export function Lacking({ job, outputs, children }) {
  const { attempt, isBusy, error } = useAttempt();
  const element = useFocusHandedOn();
  const make = () => attempt(() => derive(job, { outputs: [...new Set([...job.recipe.outputs, ...outputs])] }));
  return html`
    <div class="notice row spread wrap" ref=${element}>
      <p>${children}</p>
      <${Button} kind="small" icon="wand" aria-disabled=${isBusy} onClick=${make}>Make it now<//>
    </div>
    ${error && html`<${Trouble} error=${error} />`}`;
}
