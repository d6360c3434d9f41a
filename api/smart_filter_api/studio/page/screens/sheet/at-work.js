/** Card of a photo in progress: its stages, position and ETA. */

import { useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { reachable } from "../../service/api.js";
import { cancel } from "../../state/jobs.js";
import { durationInWords, momentInWords } from "../../words.js";

/** Text for each bundled stage; an added one shows its name. */
const DOING = {
  prepare: "Analyzing the photo",
  segmentation: "Cutting people out",
  face: "Finding faces",
  smile: "Rating smiles",
  composite: "Composing the picture",
};

// What happens meanwhile is unknown, so nothing is promised.
const AWAY = "Waiting for the service";

/** photo: see state/photos.js; its current version is unfinished. */
export function AtWork({ photo }) {
  const job = photo.current;
  const [isStopping, setStopping] = useState(false);
  const stop = async () => {
    setStopping(true);
    try {
      await cancel(job.id);
    } catch (error) {
      // The job finished meanwhile: there is nothing to cancel.
      if (error.code !== "job_final") sayTrouble(error);
      setStopping(false);
    }
  };
  return html`<${Steps} job=${job} />
    <div class="row actions"><${Button} kind="small quiet" icon="close" disabled=${isStopping}
      onClick=${stop}>Cancel<//></div>`;
}

function Steps({ job }) {
  const { stages } = job;
  const done = stages.filter(({ state }) => state === "succeeded").length;
  const doing = stages.find(({ state }) => state === "running");
  const words = !reachable.value ? AWAY : doing ? (DOING[doing.name] ?? doing.name) : waitOf(job, done);
  return html`
    <p class="soft">${words}</p>
    <div class=${`steps ${reachable.value ? "" : "away"}`} role="progressbar" aria-label="Steps" aria-valuemin="0"
      aria-valuemax=${stages.length} aria-valuenow=${done} aria-valuetext=${`${done} of ${stages.length} steps done. ${words}`}>
      ${stages.map(({ name, state }) => html`<span key=${name} data-state=${state} title=${DOING[name] ?? name} />`)}
    </div>`;
}

function waitOf({ queue, recipe: { run_at: start } }, done) {
  if (start !== null && Date.parse(start) > Date.now()) return `Starts at ${momentInWords(start)}`;
  if (done > 0) return "Waiting for its turn";
  if (!queue) return "Waiting in the queue";
  const soon = queue.eta_p50_s === null ? "" : `, ready in ${durationInWords(queue.eta_p50_s)}`;
  return queue.position > 1 ? `Number ${queue.position.toLocaleString()} in the queue${soon}` : `Next in the queue${soon}`;
}
