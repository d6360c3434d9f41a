/** State of the service: concerns first, then the current figures. */

import { Icon } from "../controls/icon.js";
import { html } from "../html.js";
import { counted } from "../words.js";
import { age, count, exactly, seconds } from "./figures.js";
import { past, span, standing } from "./state.js";

const WHILE = {
  hour: "times in the last hour",
  day: "times in the last day",
  month: "times in 30 days",
};

/** The head of the page. */
export function Verdict() {
  const { concerns } = standing.value;
  return html`<section class="verdict-head stack" aria-labelledby="verdict">
    <h1 id="verdict" class=${`well ${gravity(concerns)}`}>
      <${Icon} name=${concerns.length ? "alert" : "check"} />${inWords(concerns)}</h1>
    <ul class="stack concerns" aria-label="Concerns">
      ${concerns.map((one) => html`<${Concern} key=${one.title + one.subject} concern=${one} />`)}
    </ul>
    <${Now} />
  </section>`;
}

function Concern({ concern }) {
  const { gravity, title, detail, since } = concern;
  return html`<li class=${`notice ${gravity === "bad" ? "poor" : "fair"}`}>
    <${Icon} name="alert" label=${gravity === "bad" ? "Problem:" : "Warning:"} />
    <div><h2 class="concern">${title}</h2><p>${detail}</p></div>
    ${since && html`<time class="soft small" datetime=${since} title=${exactly(since)}>
      for ${age(since)}</time>`}
  </li>`;
}

// The service counts no further.
const COUNTED = 10000;

function Now() {
  const { queues, workers_by_state: states, unfinished, webhook_lag_seconds: lag } = standing.value;
  const sum = (name) => queues.reduce((total, queue) => total + queue[name], 0);
  const oldest = Math.max(0, ...queues.map((queue) => queue.oldest_wait_seconds));
  const workers = Object.values(states).reduce((total, one) => total + one, 0);
  const ended = past.value?.jobs;
  const all = (name) => (ended ? count(total(ended[name])) : "–");
  return html`<dl class="tiles">
    <${Tile} term="Unfinished photos" value=${count(unfinished) + (unfinished < COUNTED ? "" : "+")} />
    <${Tile} term="Stages ready" value=${count(sum("ready"))} hint=${`${count(sum("running"))} running`} />
    <${Tile} term="Longest wait" value=${seconds(oldest)} />
    <${Tile} term="Workers" value=${count(workers)} hint=${inStates(states)} />
    <${Tile} term="Finished" value=${all("succeeded")} hint=${WHILE[span.value]} />
    <${Tile} term="Failed" value=${all("failed")} hint=${WHILE[span.value]}
      isPoor=${ended && total(ended.failed) > 0} />
    <${Tile} term="Webhooks late by" value=${seconds(lag)} />
  </dl>`;
}

function Tile({ term, value, hint, isPoor }) {
  return html`<div class="tile"><dt>${term}</dt>
    <dd class=${`figures ${isPoor ? "is-poor" : ""}`}>${value}</dd>
    ${hint && html`<dd class="soft small">${hint}</dd>`}</div>`;
}

function gravity(concerns) {
  if (concerns.some((one) => one.gravity === "bad")) return "poor";
  return concerns.length ? "fair" : "good";
}

function inWords(concerns) {
  if (!concerns.length) return "All systems healthy";
  const bad = concerns.filter((one) => one.gravity === "bad").length;
  if (!bad) return `Working, with ${counted(concerns.length, "warning")}`;
  return `${counted(bad, "problem needs", "problems need")} attention`;
}

function inStates(states) {
  return Object.entries(states)
    .map(([state, workers]) => `${workers} ${state.replace("_", " ")}`)
    .join(", ");
}

function total(values) {
  return values.reduce((sum, one) => sum + (one ?? 0), 0);
}
