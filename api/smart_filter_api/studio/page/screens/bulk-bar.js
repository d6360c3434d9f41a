/** Progress and result of an action on many photos, on every screen. */

import { Button } from "../controls/button.js";
import { Icon } from "../controls/icon.js";
import { Progress } from "../controls/progress.js";
import { html } from "../html.js";
import { reachable } from "../service/api.js";
import { bulk, dismissBulk, stopBulk } from "../state/bulk.js";
import { counted } from "../words.js";

const MOST_SHOWN = 50;

/** The bar; nothing while there is no action and no result. */
export function BulkBar() {
  if (bulk.value === null) return null;
  const { title, total, done, failures, isOver, again } = bulk.value;
  const failed = failures.map(({ id }) => id).filter(Boolean);
  const mayRepeat = isOver && failed.length > 0;
  const repeat = () => again(failed);
  return html`<section class="bulk stack tight" aria-label="Action on many photos">
    <div class="row spread">
      <div class="words"><p><strong>${title}</strong></p>
        <p class="soft small figures">${wordsFor(bulk.value)}</p>
        <p class="unseen" role="status">${isOver && wordsFor(bulk.value)}</p></div>
      <div class="row">
        ${mayRepeat && again && html`<${Button} kind="small" icon="refresh" onClick=${repeat}>Try again<//>`}
        ${isOver
          ? html`<${Button} kind="small quiet" icon="close" label="Dismiss" onClick=${dismissBulk} />`
          : html`<${Button} kind="small" icon="close" onClick=${stopBulk}>Stop<//>`}
      </div>
    </div>
    ${!isOver && html`<${Progress} done=${total === null ? 0 : (done + failures.length) / total} label=${title} />`}
    ${failures.length > 0 && html`<details open=${isOver}>
      <summary><${Icon} name="alert" />${counted(failures.length, "failure")}</summary>
      <ul class="stack tight small">${failures.slice(0, MOST_SHOWN).map(({ id, name, error }, index) => html`<li key=${index}>
        <strong>${id === null ? "All together" : (name ?? "A photo without a name")}</strong>: ${reasonOf(error)}</li>`)}</ul>
      ${failures.length > MOST_SHOWN && html`<p class="small soft">and ${failures.length - MOST_SHOWN} more</p>`}
    </details>`}
  </section>`;
}

function wordsFor({ total, noun, done, failures, isOver, isStopped }) {
  const count = total === null ? "Counting the photos" : `${done.toLocaleString()} of ${counted(total, noun)} done`;
  if (isStopped) return `Stopped: ${count}`;
  if (isOver) return failures.length === 0 ? `Finished: ${count}` : `${count}, ${failures.length} failed`;
  return reachable.value ? count : `${count}. Waiting for the service.`;
}

function reasonOf({ title, message, detail, remedy }) {
  const end = (words) => (/[.!?]$/.test(words) ? words : `${words}.`);
  return [title ?? message, detail, remedy].filter(Boolean).map(end).join(" ");
}
