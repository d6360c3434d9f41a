/** Every model and field of a recipe: change them, see what ran, copy and paste recipes. */

import { useRef, useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Icon } from "../../../controls/icon.js";
import { Trouble, say } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { isFinal } from "../../../state/jobs.js";
import { derive } from "../../../state/photos.js";
import { schemaOf } from "../../../state/models.js";
import { difference, nameOf } from "../../../state/recipes.js";
import { Form, Offered, useForm } from "./expert/form.js";
import { Copying } from "./expert/copying.js";
import { Pasting } from "./expert/pasting.js";
import { Ran } from "./expert/ran.js";

export const expert = { id: "expert", title: "Expert", icon: "sliders", Panel };

function Panel({ photo }) {
  return html`<${Offered}>${() => html`<${Expert} photo=${photo} />`}<//>`;
}

function Expert({ photo }) {
  const job = photo.current;
  const form = useForm(photo.id, job);
  const [opened, open] = useState(null);
  const close = () => open(null);
  return html`<div class="stack expert">
    <div class="row wrap">
      <a class="button small" href=${`#/compare/${encodeURIComponent(photo.id)}`}><${Icon} name="compare" />Compare two recipes</a>
      <${Button} kind="small" icon="code" onClick=${() => open("copying")}>Copy as code<//>
      <${Button} kind="small" icon="upload" onClick=${() => open("pasting")}>Paste a recipe<//>
    </div>
    <${Form} form=${form} />
    <${Ran} job=${job} />
    <${Applying} form=${form} make=${(changes) => derive(job, changes)} />
    ${opened === "copying" && html`<${Copying} job=${job} recipe=${form.recipe} onClose=${close} />`}
    ${opened === "pasting" && html`<${Pasting} before=${form.recipe} onRead=${form.replace} onClose=${close} />`}
  </div>`;
}

/**
 * The bar that makes a picture with the changed recipe.
 *
 * make: called with the body of `POST …/derive`; returns a promise of its job. label: of its button.
 */
export function Applying({ form, make, label = "Apply" }) {
  const [isBusy, setBusy] = useState(false);
  const element = useRef(null);
  const { job, base, recipe, changes, error } = form;
  const apply = async () => {
    if (isBusy) return;
    if (changes.length === 0) {
      say("There are no changes.");
      return;
    }
    if (!isFinal(job)) {
      say("The picture is still in progress. Apply again when it is finished.");
      return;
    }
    setBusy(true);
    try {
      await make(difference(base, recipe));
      form.settle(recipe);
    } catch (problem) {
      form.fail(problem);
        // After the group with the error has opened.
      requestAnimationFrame(() => requestAnimationFrame(() => lookAtFirst(element.current)));
    }
    setBusy(false);
  };
  const isIdle = changes.length === 0 && error === null;
  return html`<div class=${`applying stack ${isIdle ? "idle" : ""}`} ref=${element}>
    ${error && html`<${Refusal} error=${error} recipe=${recipe} />`}
    <div class="row">
      <${Button} kind="primary" icon="wand" aria-disabled=${isBusy || changes.length === 0} onClick=${apply}>
        ${isBusy ? "Sending" : label}<//>
      ${changes.length > 0 && html`<${Button} kind="quiet" icon="undo" onClick=${form.forget}>Discard<//>
        <span class="small soft" role="status">${changes.length} ${changes.length === 1 ? "change" : "changes"}</span>`}
    </div>
  </div>`;
}

/** The service's refusal, without the errors that fields show. */
function Refusal({ error, recipe }) {
  const errors = (error.errors ?? []).map(({ pointer, detail }) => ({ name: nameOf(pointer), detail }));
  const atFields = errors.filter(({ name }) => schemaOf(name, recipe) !== undefined);
  if (atFields.length === 0) return html`<${Trouble} error=${error} />`;
  const others = errors.filter((one) => !atFields.includes(one));
  const names = atFields.map(({ name }) => name.replace(/^.*[.]/, "")).join(", ");
  return html`<${Trouble} error=${{ title: error.title, detail: `Look at ${names}.` }}>
    ${others.map(({ name, detail }) => html`<p key=${name}><code>${name}</code> ${detail}</p>`)}<//>`;
}

function lookAtFirst(bar) {
  const wrong = bar?.parentElement.querySelector('.setting [aria-invalid="true"]');
  wrong?.focus({ preventScroll: true });
  wrong?.scrollIntoView({ block: "center" });
}
