/** Queues: waiting work, workers and pauses of each capability. */

import { Button } from "../controls/button.js";
import { html } from "../html.js";
import { counted } from "../words.js";
import { Bars } from "./chart.js";
import { age, count, exactly, seconds } from "./figures.js";
import { act, past, standing } from "./state.js";

/** All queues; idle ones are folded. */
export function Queues() {
  const { queues } = standing.value;
  const busy = queues.filter(isBusy);
  const idle = queues.filter((queue) => !isBusy(queue));
  return html`<section class="stack" aria-labelledby="queues">
    <h2 id="queues">Queues</h2>
    ${queues.length === 0 && html`<p class="panel empty soft">No queue yet: no worker has published a
      model. Start one with <code>smart-filter worker</code>.</p>`}
    ${busy.length > 0 && html`<${Listed} queues=${busy} />`}
    ${idle.length > 0 && html`<details class="folded"><summary>${counted(idle.length, "idle queue")}</summary>
      <${Listed} queues=${idle} /></details>`}
  </section>`;
}

function Listed({ queues }) {
  return html`<div class="panel wide"><table class="roll">
    <thead><tr><th scope="col">Capability</th>
      ${["Waiting", "Ready", "Running", "Oldest", "Workers"].map(
        (name) => html`<th scope="col" class="number" key=${name}>${name}</th>`,
      )}
      <th scope="col">Completed</th><th><span class="unseen">What to do</span></th></tr></thead>
    <tbody>${queues.map((queue) => html`<${Row} key=${queue.capability} queue=${queue} />`)}</tbody>
  </table></div>`;
}

function Row({ queue }) {
  const { capability, waiting, ready, running, workers, paused_at: pausedAt } = queue;
  const path = `queues/${encodeURIComponent(capability)}/pause`;
  const history = historyOf(capability);
  const isAlone = ready > 0 && workers === 0;
  return html`<tr>
    <th scope="row"><span class="name">${capability}</span>
      ${pausedAt && html` <span class="tag fair" title=${exactly(pausedAt)}>paused for ${age(pausedAt)}</span>`}
      ${isAlone && html` <span class="tag poor">no workers</span>`}</th>
    <td class="number" data-name="Waiting">${count(waiting)}</td>
    <td class="number" data-name="Ready">${count(ready)}</td>
    <td class="number" data-name="Running">${count(running)}</td>
    <td class="number" data-name="Oldest">${ready ? seconds(queue.oldest_wait_seconds) : "–"}</td>
    <td class="number" data-name="Workers">${count(workers)}</td>
    <td class="spark" data-name="Completed">${history
      ? html`<${Bars} label=${`Completed by ${capability}`} values=${history.completed} isSmall />`
      : "–"}</td>
    <td class="deed">${pausedAt
      ? html`<${Button} kind="small primary" onClick=${() => act("DELETE", path)}
          aria-label=${`Resume ${capability}`}>Resume<//>`
      : html`<${Button} kind="small" onClick=${() => act("PUT", path)}
          aria-label=${`Pause ${capability}`}>Pause<//>`}</td>
  </tr>`;
}

function isBusy(queue) {
  const isNow = queue.ready + queue.running + queue.waiting > 0 || queue.paused_at !== null;
  return isNow || (historyOf(queue.capability)?.completed.some((value) => value > 0) ?? false);
}

function historyOf(capability) {
  return past.value?.queues.find((one) => one.capability === capability);
}
