/** What the viewer says beside the picture. */

import { useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Trouble } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { isFinal } from "../../../state/jobs.js";
import { derive } from "../../../state/photos.js";

const NAMES = { image: "finished picture", matte: "matte", cutout: "cut-out" };

/** Says that another version is on its way. */
export function AtWork({ job }) {
  if (isFinal(job)) return html`<span role="status" />`;
  const words = job.state === "running" ? "Working on the picture" : "Waiting for its turn";
  return html`<div class="at-work" role="status"><span class="line" /><span class="tag">${words}</span></div>`;
}

/** Says that an output was not asked for, and makes it. */
export function Lacking({ job, output }) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const make = async () => {
    setBusy(true);
    setError(null);
    try {
      await derive(job, { outputs: [...new Set([...job.recipe.outputs, output])] });
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  return html`
    <div class="notice row spread wrap">
      <p>The ${NAMES[output]} was not asked for when this photo was sent.</p>
      <${Button} kind="small" icon="wand" disabled=${isBusy} onClick=${make}>Make it now<//>
    </div>
    ${error && html`<${Trouble} error=${error} />`}`;
}
