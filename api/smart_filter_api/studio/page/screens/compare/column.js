/** One of two recipes: its version of the photo, and the form to change it. */

import { useRef } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Select } from "../../controls/fields.js";
import { Trouble, say } from "../../controls/notices.js";
import { html } from "../../html.js";
import { go } from "../../router.js";
import { put } from "../../state/jobs.js";
import { askToDerive, show } from "../../state/photos.js";
import { Applying } from "../photo/panels/expert.js";
import { Form, useForm } from "../photo/panels/expert/form.js";
import { useGestures } from "../photo/viewer/gestures.js";
import { Layers } from "../photo/viewer/layers.js";
import { AtWork, NAMES } from "../photo/viewer/notes.js";
import { lacking, useShown } from "../photo/viewer/shown.js";
import { useStage } from "../photo/viewer/view.js";

/** A column. letter: its name. choose: called with the id of another version. */
export function Column({ letter, photo, job, view, choose, hasPicture }) {
  const form = useForm(`${photo.id}/${letter}`, job);
  const make = async (changes) => {
    const made = await askToDerive(job, changes);
    put(made);
    choose(made.id);
  };
  const use = () => {
    show(job);
    say("This version is the picture now.");
    go(`photo/${photo.id}`);
  };
  const options = photo.versions.map((one, index) => ({ value: one.id, label: labelOf(one, index) }));
  return html`<section class="column stack" aria-label=${`Recipe ${letter}`}>
    <div class="row column-head">
      <span class="letter" aria-hidden="true">${letter}</span>
      <${Select} label=${html`<span class="unseen">Version in ${letter}</span>`} options=${options}
        value=${job.id} onChange=${choose} />
      <${Button} kind="small" icon="check" disabled=${job.state !== "succeeded"} onClick=${use}>Use this one<//>
    </div>
    ${hasPicture && html`<${Pane} letter=${letter} photo=${photo} job=${job} view=${view} />`}
    ${job.state === "failed" && html`<${Trouble} error=${job.error} />`}
    <details class="panel column-recipe">
      <summary>Recipe ${letter}${form.changes.length > 0 && html`<span class="tag accent">${form.changes.length} changed</span>`}</summary>
      <div class="stack expert"><${Form} form=${form} />
        <${Applying} form=${form} make=${make} label=${`Try it in ${letter}`} /></div>
    </details>
  </section>`;
}

function Pane({ letter, photo, job, view }) {
  const stage = useRef(null);
  const parent = photo.versions.find((one) => one.id === job.parent_id);
  // While a version is being made, show the one that it is made from.
  const { shown, error } = useShown({ versions: [parent, job].filter(Boolean), current: job }, view.mode.value);
  const listeners = useGestures(view, stage);
  useStage(view, stage, shown?.space ?? null);
  const missing = lacking(job, view.mode.value);
  const isShown = shown !== null && view.space.value !== null;
  return html`<div class="mount">
    <div class=${`stage ${view.isFit.value ? "" : "near"}`} ref=${stage} role="group" tabindex="0"
      aria-label=${`Picture ${letter}. Plus and minus zoom both, 0 fits, arrows move.`} ...${listeners}>
      ${isShown && missing === null && html`<${Layers} view=${view} shown=${shown} />`}
    </div>
    <${AtWork} job=${job} isEmpty=${!isShown && error === null && missing === null} />
    <div class="notes stack">
      ${error && html`<${Trouble} error=${error} />`}
      ${missing && html`<p class="notice"><span>This version has no ${NAMES[missing]}. To get one, tick${" "}
        <code>${missing}</code> among the outputs of recipe ${letter} and try it.</span></p>`}
    </div>
  </div>`;
}

function labelOf(job, index) {
  const model = job.stages.find((stage) => stage.name === "segmentation")?.model;
  return [`Version ${index + 1}`, model].filter(Boolean).join(" · ");
}
