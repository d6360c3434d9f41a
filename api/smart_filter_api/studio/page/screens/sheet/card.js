/** A photo on the sheet: on its way, at work, finished, or failed. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Trouble, say, sayTrouble } from "../../controls/notices.js";
import { Progress } from "../../controls/progress.js";
import { html } from "../../html.js";
import { cancel, isFinal, redrive, remove } from "../../state/jobs.js";
import { again, drop } from "../../state/pending.js";

/** What each stage does, for people. */
const DOING = {
  prepare: "Looking at the photo",
  segmentation: "Cutting people out",
  face: "Finding faces",
  smile: "Rating smiles",
  composite: "Composing the picture",
};

/** A photo that the service does not have yet. */
export function PendingCard({ photo }) {
  const preview = usePreview(photo.file);
  return html`<li class="card">
    <div class="picture"><img src=${preview} alt="" /></div>
    <div class="about stack">
      <h2>${photo.file.name}</h2>
      ${photo.state === "stopped"
        ? html`<${Trouble} error=${photo.error}>
            <${Button} kind="small" icon="refresh" onClick=${() => again(photo.id)}>Try again<//>
          <//>`
        : html`<p class="soft">${photo.state === "sending" ? "Sending" : "Waiting to be sent"}</p>
            <${Progress} done=${photo.done} label=${`${photo.file.name}: sent`} />`}
      <div class="row"><${Button} kind="small quiet" icon="close"
        onClick=${() => drop(photo.id)}>Remove<//></div>
    </div>
  </li>`;
}

/** A photo with the version of it that is shown. */
export function Card({ photo }) {
  const job = photo.current;
  const name = job.metadata.name ?? "Photo";
  return html`<li class="card">
    ${job.state === "succeeded"
      ? html`<a class="picture checkerboard" href=${`#/photo/${photo.id}`}>
          <img src=${job.outputs.thumbnail ?? job.outputs.image} alt=${`${name}, finished`}
            loading="lazy" /></a>`
      : html`<div class="picture" />`}
    <div class="about stack">
      <h2>${name}</h2>
      ${!isFinal(job) && html`<${AtWork} job=${job} />`}
      ${job.state === "failed" && html`<${Trouble} error=${job.error}>
        <${Button} kind="small" icon="refresh"
          onClick=${() => redrive(job.id).catch(sayTrouble)}>Try again<//><//>`}
      ${job.state === "canceled" && html`<p class="soft">Canceled</p>`}
      ${isFinal(job) && html`<div class="row"><${Button} kind="small quiet" icon="clear"
        onClick=${() => clear(photo)}>Delete<//></div>`}
    </div>
  </li>`;
}

function AtWork({ job }) {
  const done = job.stages.filter((stage) => stage.state === "succeeded").length;
  const running = job.stages.find((stage) => stage.state === "running");
  const next = running ?? job.stages.find((stage) => stage.state === "ready");
  return html`
    <p class="soft">${next ? DOING[next.name] : "Waiting"}${waitOf(job)}</p>
    <${Progress} done=${done / job.stages.length} label="Stages done" />
    <div class="row"><${Button} kind="small quiet" icon="close"
      onClick=${() => cancel(job.id).catch(sayTrouble)}>Cancel<//></div>`;
}

function waitOf(job) {
  if (!job.queue?.position) return "";
  return `, number ${job.queue.position} in the queue, about ${Math.ceil(job.queue.eta_p50_s)} s`;
}

async function clear(photo) {
  try {
    await remove(...photo.versions.map((job) => job.id));
    say("Deleted, on the service too.");
  } catch (error) {
    sayTrouble(error);
  }
}

/** Return the address of a file's picture, for as long as it is shown. */
function usePreview(file) {
  const [address, setAddress] = useState("");
  useEffect(() => {
    const made = URL.createObjectURL(file);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return address;
}
