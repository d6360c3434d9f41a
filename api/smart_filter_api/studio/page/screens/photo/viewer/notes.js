/** Messages of the viewer, over the picture. */

import { Button } from "../../../controls/button.js";
import { Trouble, sayTrouble } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { isFinal, mayGoOn, redrive } from "../../../state/jobs.js";
import { show } from "../../../state/photos.js";

/** Names of outputs. */
export const NAMES = { image: "finished picture", matte: "matte", cutout: "cutout" };

const PHOTO_GONE = { title: "The photo has expired", detail: "It is no longer on the service." };

/** Message about work in progress. isEmpty: no picture is shown yet. */
export function AtWork({ job, isEmpty }) {
  const words = isFinal(job)
    ? isEmpty && job.state === "succeeded" && "Loading the picture"
    : job.state === "running" ? "Working on the picture" : "Waiting in the queue";
  return html`<div class="at-work" role="status">
    ${words && html`<span class="line" /><span class="tag">${words}</span>`}
  </div>`;
}

/** Message about a picture that could not be loaded. again: loads it again. */
export function Unloaded({ error, mode, again }) {
  if ([404, 410].includes(error.status)) {
    return html`<${Trouble} error=${mode === "photo" ? PHOTO_GONE : { title: error.title }} />`;
  }
  return html`<${Trouble} error=${error}>
    <${Button} kind="small" icon="refresh" onClick=${again}>Try again<//><//>`;
}

/** Message about a version that failed. former: the version shown instead. */
export function Ended({ photo: { current }, former }) {
  const back = former !== current && html`<${Button} kind="small" icon="undo"
    onClick=${() => show(former)}>Keep the previous picture<//>`;
  if (current.state === "canceled") {
    return html`<div class="notice row spread wrap"><p>This was canceled.</p>${back}</div>`;
  }
  if (current.state !== "failed") return null;
  return html`<${Trouble} error=${current.error}>
    ${mayGoOn(current.error) && html`<${Button} kind="small" icon="refresh"
      onClick=${() => redrive(current.id).catch(sayTrouble)}>Try again<//>`}
    ${back}<//>`;
}
