/** Stages of a version with models and seconds, and the debug sheet of its model. */

import { useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Dialog } from "../../../../controls/dialog.js";
import { html } from "../../../../html.js";
import { hasExpired } from "../../../../state/jobs.js";
import { usePicture } from "../../viewer/pictures.js";
import { TITLES } from "./task.js";

/** A table of a job's stages, and its debug steps if it has the output `debug`. */
export function Ran({ job }) {
  const total = job.stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0);
  return html`<section class="stack ran">
    <h2 class="over-groups">What ran</h2>
    <table class="figures">
      <caption class="unseen">Stages of this version, with models and seconds</caption>
      <thead><tr><th scope="col">Stage</th><th scope="col">Model</th><th scope="col" class="number">Time</th></tr></thead>
      <tbody>${job.stages.map((stage) => html`<tr key=${stage.name}>
        <th scope="row">${TITLES[stage.name] ?? stage.name}</th>
        <td>${stage.models.map((model) => html`<div key=${model.task}>${model.name}${model.digest && html`
          <span class="soft digest" title=${`Weights ${model.digest}`}>${model.digest.slice(0, 8)}</span>`}</div>`)}</td>
        <td class="number">${timeOf(stage)}</td></tr>`)}
      </tbody>
      <tfoot><tr><th scope="row" colspan="2">In all</th><td class="number">${total.toFixed(2)} s</td></tr></tfoot>
    </table>
    ${job.stages.some((stage) => stage.reused) && html`<p class="small soft">Reused:
      from an earlier version with the same inputs.</p>`}
    ${job.outputs.debug && !hasExpired(job) && html`<${Steps} path=${job.outputs.debug} />`}
  </section>`;
}

/** Return the duration of a stage, or why it has none. */
export function timeOf(stage) {
  if (stage.seconds === null) return stage.state;
  return stage.reused ? "reused" : `${stage.seconds.toFixed(2)} s`;
}

/** The debug sheet: intermediate results of the model. */
function Steps({ path }) {
  const [isLarge, setLarge] = useState(false);
  const found = usePicture(path);
  if (found === null) return html`<p class="soft" role="status">Loading the steps</p>`;
  const alt = "The model's intermediate steps, side by side";
  return html`<figure class="stack tight debug-steps">
    <figcaption class="row spread"><h3>Steps</h3>
      <${Button} kind="small" icon="full" onClick=${() => setLarge(true)}>Look closer<//></figcaption>
    <img src=${found.address} alt=${alt} />
    ${isLarge && html`<${Dialog} title="Steps" onClose=${() => setLarge(false)}>
      <div class="steps-large" tabindex="0" role="group" aria-label="Steps, at full size"><img src=${found.address} alt=${alt} /></div><//>`}
  </figure>`;
}
