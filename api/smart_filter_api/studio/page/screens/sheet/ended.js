/** Card of a photo that failed or was canceled, with the possible actions. */

import { useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Coded } from "../../controls/coded.js";
import { sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { mayGoOn, redrive } from "../../state/jobs.js";
import { derive } from "../../state/photos.js";
import { deleteThese } from "./deleting.js";

/** An error in a card. error: a Problem, or `{title, detail?, remedy?}`. */
export function Fault({ error }) {
  return html`<div class="fault">
    <p><strong><${Coded} text=${error.title} /></strong></p>
    ${[error.detail, error.remedy].filter(Boolean).map((words) => html`<p><${Coded} text=${words} /></p>`)}
  </div>`;
}

/** photo: see state/photos.js; its current version has failed or was canceled. */
export function Ended({ photo, ...entry }) {
  const job = photo.current;
  const [isBusy, setBusy] = useState(false);
  const act = (action) => async () => {
    setBusy(true);
    await action().catch(sayTrouble);
    setBusy(false);
  };
  const { words, run } = wayOut(job);
  return html`
    ${job.error
      ? html`<${Fault} error=${job.error} />`
      : html`<p class="soft">Canceled.</p>`}
    <div class="row actions">
      ${run && html`<${Button} kind="small" icon="refresh" disabled=${isBusy} onClick=${act(run)}>
        ${words}<//>`}
      <${Button} kind="small quiet" icon="clear" onClick=${() => deleteThese([{ ...entry, photo }])}>
        Delete<//>
    </div>`;
}

function wayOut(job) {
  if (job.error === null) return { words: "Start again", run: () => derive(job, {}) };
  if (job.error.code === "no_person") {
    return { words: "Process it anyway", run: () => derive(job, { require_person: false }) };
  }
  if (!mayGoOn(job.error)) return {};
  return { words: "Try again", run: () => redrive(job.id) };
}
