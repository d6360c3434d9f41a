/** Workers: the state of each process, and its drain. */

import { Button } from "../controls/button.js";
import { html } from "../html.js";
import { age, count, exactly } from "./figures.js";
import { act, standing } from "./state.js";

const KINDS = { ready: "good", busy: "accent", starting: "", draining: "fair", unhealthy: "poor", setup_failed: "poor" };

/** All worker processes, unhealthy ones first. */
export function Workers() {
  const { workers, workers_by_state: states } = standing.value;
  const inAll = Object.values(states).reduce((total, one) => total + one, 0);
  return html`<section class="stack" aria-labelledby="workers">
    <h2 id="workers">Workers</h2>
    ${workers.length === 0
      ? html`<p class="panel empty soft">No worker is running. <code>smart-filter worker</code> starts
          one; <code>smart-filter up</code> starts it with everything else.</p>`
      : html`<div class="panel wide"><table class="roll">
          <thead><tr><th scope="col">Process</th><th scope="col">State</th>
            <th scope="col" class="number">Running</th><th scope="col">Serves</th>
            <th scope="col" class="number">Up for</th><th scope="col" class="number">Last heartbeat</th>
            <th><span class="unseen">What to do</span></th></tr></thead>
          <tbody>${workers.map((worker) => html`<${Row} key=${worker.worker_id} worker=${worker} />`)}</tbody>
        </table></div>`}
    ${inAll > workers.length && html`<p class="soft">and ${count(inAll - workers.length)} more:
      <code> smart-filter workers list</code> shows them all.</p>`}
  </section>`;
}

function Row({ worker }) {
  const { worker_id: id, host, pid, state, running, threads, failed } = worker;
  const path = `workers/${id}/drain`;
  const name = `${host}, process ${pid}`;
  const thereFor = thereForOf(worker);
  return html`<tr>
    <th scope="row"><span class="name host" title=${host}>${host}</span> <span class="soft figures">${pid}</span></th>
    <td data-name="State"><span class=${`tag ${KINDS[state] ?? ""}`}>${state.replace("_", " ")}</span></td>
    <td class="number" data-name="Running">${threads ? `${running} of ${threads}` : "–"}</td>
    <td data-name="Serves" class="serves">
      ${thereFor.length === 1 && thereFor[0]}
      ${thereFor.length > 1 && html`<details><summary>${count(thereFor.length)} capabilities</summary>
        <p class="small soft">${thereFor.join(", ")}</p></details>`}
      ${Object.entries(failed).map(([one, why]) => html`<p class="small is-poor" key=${one}>
        Not ${one}: ${why}</p>`)}</td>
    <td class="number" data-name="Up for" title=${exactly(worker.started_at)}>${age(worker.started_at)}</td>
    <td class="number" data-name="Last heartbeat" title=${exactly(worker.seen_at)}>${age(worker.seen_at)} ago</td>
    <td class="deed">${state === "draining"
      ? html`<${Button} kind="small primary" onClick=${() => act("DELETE", path)}
          aria-label=${`Resume ${name}`}>Resume<//>`
      : html`<${Button} kind="small" onClick=${() => act("PUT", path)}
          aria-label=${`Drain ${name}`}>Drain<//>`}</td>
  </tr>`;
}

/** Return the capabilities that a worker serves, or will serve after a resume. */
function thereForOf({ wanted, capabilities, failed }) {
  const all = [...new Set([...wanted, ...capabilities])];
  return all.filter((name) => !(name in failed)).sort();
}
