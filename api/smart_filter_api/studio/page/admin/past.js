/** History: completed and failed work by capability, and the problems of failed jobs. */

import { Segmented } from "../controls/choices.js";
import { html } from "../html.js";
import { Area, Bars } from "./chart.js";
import { age, count, exactly, seconds } from "./figures.js";
import { lookOver, past, span } from "./state.js";

const SPANS = [
  { value: "hour", label: "Hour" },
  { value: "day", label: "Day" },
  { value: "month", label: "30 days" },
];
// Minimum of each chart's axis maximum.
const LATE_SECONDS = 60;
const SOON_SECONDS = 10;
const FEW = 4;
const STEPS = { 60: "a minute", 1200: "20 minutes", 28800: "8 hours" };

/** History of the chosen time span. */
export function Past() {
  return html`<section class="stack" aria-labelledby="past">
    <div class="row wrap spread"><h2 id="past">What happened</h2>
      <${Segmented} legend="How far back" options=${SPANS} value=${span.value} onChange=${lookOver} /></div>
    ${past.value && html`<${Whole} history=${past.value} />
      <${Problems} problems=${past.value.problems} /><${ByQueue} queues=${past.value.queues} />`}
  </section>`;
}

function Whole({ history }) {
  const { jobs } = history;
  const step = `each bar ${STEPS[history.step_seconds] ?? ""}`;
  return html`<div class="panel charts whole">
    <${Chart} title="Photos" figure=${`${count(sum(jobs.succeeded))} finished, ${count(sum(jobs.failed))} failed`}>
      <${Bars} label="Photos finished" values=${jobs.succeeded} poor=${jobs.failed} /><//>
    <${Chart} title="Webhooks late by" figure=${`at most ${seconds(most(jobs.webhook_lag_seconds))}`}>
      <${Area} label="Webhooks late by" values=${jobs.webhook_lag_seconds} least=${LATE_SECONDS}
        format=${seconds} /><//>
    <p class="soft small axis">From ${exactly(history.first)} until now, ${step}. A
      redriven job counts at each of its ends.</p>
  </div>`;
}

function ByQueue({ queues }) {
  const busy = queues.filter(happened);
  if (busy.length === 0) return html`<p class="soft">No stage has run in this time.</p>`;
  return html`<h3>By capability</h3>
    <div>${busy.map((queue) => html`<${OfQueue} key=${queue.capability} queue=${queue} />`)}</div>`;
}

function OfQueue({ queue }) {
  const { capability: name, completed, failed, ready } = queue;
  const again = queue.retries.map((value, step) =>
    value === null ? null : value + queue.releases[step] + queue.expiries[step]);
  const summary = `${count(sum(completed))} completed${sum(failed) ? `, ${count(sum(failed))} failed` : ""}`;
  return html`<details class="folded of-queue" open=${sum(failed) > 0}>
    <summary><span class="name">${name}</span> <span class="soft">${summary}</span></summary>
    <div class="panel charts">
    <${Chart} title="Completed" figure=${`${count(sum(completed))}, ${count(sum(failed))} failed`}>
      <${Bars} label=${`Completed by ${name}`} values=${completed} poor=${failed} /><//>
    <${Chart} title="Tried again" figure=${triedAgain(queue)}>
      <${Bars} label=${`Tried again by ${name}`} values=${again} /><//>
    <${Chart} title="Ready" figure=${`at most ${count(most(ready))}`}>
      <${Area} label=${`Ready for ${name}`} values=${ready} least=${FEW} /><//>
    <${Chart} title="Oldest wait" figure=${`at most ${seconds(most(queue.oldest_wait_seconds))}`}>
      <${Area} label=${`Oldest wait for ${name}`} values=${queue.oldest_wait_seconds}
        least=${SOON_SECONDS} format=${seconds} /><//>
    </div></details>`;
}

function Chart({ title, figure, children }) {
  return html`<figure class="figure"><figcaption><span>${title}</span>
    <span class="soft figures">${figure}</span></figcaption>${children}</figure>`;
}

function Problems({ problems }) {
  if (problems.length === 0) return html`<p class="soft">No job has failed in this time.</p>`;
  return html`<h3>Why jobs failed</h3>
    <div class="panel wide"><table class="roll">
      <thead><tr><th scope="col">Problem</th><th scope="col">Where</th>
        <th scope="col" class="number">Times</th><th scope="col" class="number">Last</th>
        <th scope="col">Last job</th></tr></thead>
      <tbody>${problems.map((one) => html`<tr key=${one.code + one.capability}>
        <th scope="row"><span class="name">${one.code}</span>
          ${one.is_dead && html` <span class="tag poor">not the photo's fault</span>`}</th>
        <td data-name="Where">${one.capability || "before any stage"}</td>
        <td class="number" data-name="Times">${count(one.jobs)}</td>
        <td class="number" data-name="Last" title=${exactly(one.last_at)}>${age(one.last_at)} ago</td>
        <td data-name="Last job" class="whole"><code>${one.last_job_id}</code></td>
      </tr>`)}</tbody>
    </table></div>`;
}

function triedAgain(queue) {
  const parts = [["retries", "failed"], ["expiries", "lost"], ["releases", "handed back"]];
  const counts = parts
    .map(([name, word]) => [sum(queue[name]), word])
    .filter(([times]) => times > 0)
    .map(([times, word]) => `${count(times)} ${word}`);
  return counts.join(", ") || "none";
}

function happened(queue) {
  const names = ["completed", "failed", "retries", "releases", "expiries", "ready", "running"];
  return names.some((name) => most(queue[name]) > 0);
}

function sum(values) {
  return values.reduce((total, value) => total + (value ?? 0), 0);
}

function most(values) {
  return Math.max(0, ...values.map((value) => value ?? 0));
}
