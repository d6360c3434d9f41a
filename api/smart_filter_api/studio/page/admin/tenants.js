/** Tenants: counts of their jobs, and actions on all jobs of a tenant. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../controls/button.js";
import { Dialog } from "../controls/dialog.js";
import { TextField } from "../controls/fields.js";
import { Trouble, say } from "../controls/notices.js";
import { html } from "../html.js";
import { counted } from "../words.js";
import { count } from "./figures.js";
import { movable, moveAll, tenants } from "./state.js";

const COUNTED = 10_000;
const MOVES = {
  cancel: {
    title: (tenant) => `Cancel the jobs of ${tenant}?`,
    of: "unfinished",
    none: "It has no unfinished jobs.",
    what: "will be canceled. This cannot be undone.",
    deed: "Cancel",
    done: "canceled",
    kind: "danger",
  },
  redrive: {
    title: (tenant) => `Redrive the jobs of ${tenant}?`,
    of: "failed",
    none: "It has no failed jobs.",
    what: "will continue from their succeeded stages. Jobs whose photo is deleted stay failed.",
    deed: "Redrive",
    done: "redriven",
    kind: "primary",
  },
};

/** Table of the tenants with the most jobs. */
export function Tenants() {
  const [asked, setAsked] = useState(null);
  if (tenants.value === null) return null;
  const { items } = tenants.value;
  return html`<section class="stack" aria-labelledby="tenants">
    <h2 id="tenants">Tenants</h2>
    ${items.length === 0
      ? html`<p class="panel empty soft">No job has ended yet. <code>smart-filter run photo.jpg</code>
          ${" "}submits one.</p>`
      : html`<div class="panel wide"><table class="roll">
          <thead><tr><th scope="col">Tenant</th>
            ${["Finished today", "Failed today", "Finished in 30 days", "Failed in 30 days"].map(
              (name) => html`<th scope="col" class="number" key=${name}>${name}</th>`,
            )}<th><span class="unseen">What to do</span></th></tr></thead>
          <tbody>${items.map((item) => html`<${Row} key=${item.tenant} item=${item} onAsk=${setAsked} />`)}</tbody>
        </table></div>`}
    <${Another} onAsk=${setAsked} />
    ${asked && html`<${Moving} ...${asked} onClose=${() => setAsked(null)} />`}
  </section>`;
}

function Row({ item, onAsk }) {
  const { tenant, today, days } = item;
  const ask = (move) => () => onAsk({ tenant, move });
  const figure = (name, value, isPoor) => html`<td data-name=${name}
    class=${`number ${isPoor && value ? "is-poor" : ""}`}>${count(value ?? 0)}</td>`;
  return html`<tr>
    <th scope="row"><span class="name">${tenant}</span></th>
    ${figure("Finished today", today.succeeded)}${figure("Failed today", today.failed, true)}
    ${figure("Finished in 30 days", days.succeeded)}${figure("Failed in 30 days", days.failed, true)}
    <td class="deed several"><div class="row">
      <${Button} kind="small" onClick=${ask("redrive")} aria-label=${`Redrive jobs of ${tenant}`}>Redrive…<//>
      <${Button} kind="small" onClick=${ask("cancel")} aria-label=${`Cancel jobs of ${tenant}`}>Cancel…<//></div>
    </td>
  </tr>`;
}

/** Form for a tenant that the table does not list. */
function Another({ onAsk }) {
  const name = useRef(null);
  const ask = (move) => (event) => {
    event.preventDefault();
    const tenant = name.current.querySelector("input").value.trim();
    if (tenant) onAsk({ tenant, move });
  };
  return html`<form class="row wrap another" ref=${name} onSubmit=${ask("redrive")}>
    <${TextField} label="Another tenant" autocomplete="off" spellcheck="false" />
    <${Button} kind="small" onClick=${ask("redrive")}>Redrive…<//>
    <${Button} kind="small" onClick=${ask("cancel")}>Cancel…<//>
  </form>`;
}

/** Dialog that asks for confirmation and shows the number of jobs. */
function Moving({ tenant, move, onClose }) {
  const words = MOVES[move];
  const [jobs, setJobs] = useState(null);
  const [error, setError] = useState(null);
  const [moved, setMoved] = useState(null);
  useEffect(() => {
    movable(tenant).then(
      (found) => setJobs(found[words.of]),
      (trouble) => setError(trouble.code === "not_found" ? unknown(tenant, trouble) : trouble),
    );
  }, [tenant, move]);
  const go = async () => {
    setMoved(0);
    try {
      const done = await moveAll(tenant, move, setMoved);
      const left = done.left ? `, ${count(done.left)} could not` : "";
      say(`${counted(done.moved, "job")} of ${tenant} ${words.done}${left}.`);
      onClose();
    } catch (trouble) {
      setError(trouble);
      setMoved(null);
    }
  };
  const more = jobs === COUNTED ? "at least " : "";
  return html`<${Dialog} title=${words.title(tenant)} onClose=${onClose}
    actions=${html`<${Button} onClick=${onClose}>Back<//>
      <${Button} kind=${words.kind} disabled=${!jobs || moved !== null} onClick=${go}>
        ${words.deed} ${jobs ? `${more}${counted(jobs, "job")}` : ""}<//>`}>
    ${error && html`<${Trouble} error=${error} />`}
    ${jobs === null && !error && html`<p>Counting…</p>`}
    ${jobs === 0 && html`<p>${words.none}</p>`}
    ${jobs > 0 && html`<p><strong>${more}${counted(jobs, "job")}</strong> of ${tenant} ${words.what}</p>`}
    ${moved !== null && html`<p role="status">${count(moved)} of ${count(jobs)} done.</p>`}
  <//>`;
}

/** Return an unknown tenant's error, without the parts meant for programs. */
function unknown(tenant, { detail }) {
  const rest = detail.split(/[:;] /).at(-1);
  return { title: `There is no tenant ${tenant}`, detail: rest[0].toUpperCase() + rest.slice(1) };
}
