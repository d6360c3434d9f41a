/** A photo of an album as a card. */

import { useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Icon } from "../../controls/icon.js";
import { sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { stemOf } from "../../service/file-names.js";
import { hasExpired, isFinal, mayGoOn, redrive } from "../../state/jobs.js";
import { derive } from "../../state/photos.js";
import { AtWork } from "../sheet/at-work.js";
import { Fault } from "../sheet/ended.js";
import { Picture } from "../sheet/picture.js";
import { Stars } from "../sheet/stars.js";
import { pictureOf, reasonsOf } from "./members.js";

/** member: see members.js. onShow: called to show it full screen. */
export function Member({ member, onShow }) {
  const { photo, name, rank, item, better } = member;
  return html`<li class="card album-member" data-state=${photo?.current.state ?? item.state}>
    <div class="frame">
      ${photo && !item.deleted ? html`<${Picture} id=${photo.id} photo=${photo} />` : html`<div class="picture"><span class="no-picture">${
        item.deleted ? "Deleted" : ""}</span></div>`}
      ${rank !== null && better === null && html`<span class="rank figures"><span class="unseen">Rank </span>${rank}</span>`}
    </div>
    <div class="about"><h3 title=${name}>${name}</h3><${Body} member=${member} onShow=${onShow} /></div>
  </li>`;
}

function Body({ member, onShow }) {
  const { item, job, photo } = member;
  if (item.job_id === null) return html`<${Fault} error=${item.error} />`;
  if (item.deleted) return html`<p class="soft">Deleted.</p>`;
  if (!photo) return html`<p class="soft">…</p>`;
  if (!isFinal(photo.current)) return html`<${AtWork} photo=${photo} />`;
  if (photo.current.state !== "succeeded") return html`<${Ended} job=${photo.current} />`;
  return html`
    ${job.rating && html`<${Stars} points=${job.rating.points} />`}
    <${Reasons} member=${member} />
    <${Actions} member=${member} onShow=${onShow} />`;
}

/** The reasons for a photo's rank. */
export function Reasons({ member }) {
  const reasons = reasonsOf(member);
  if (reasons.length === 0) return null;
  return html`<ul class="reasons soft">${reasons.map((reason) => html`<li key=${reason}>${reason}</li>`)}</ul>`;
}

/** Actions on a photo of an album. isLarge: with text on the buttons. */
export function Actions({ member, onShow, isLarge }) {
  const { name, job, photo } = member;
  const [isBusy, setBusy] = useState(false);
  const picture = pictureOf(member);
  const compose = async () => {
    setBusy(true);
    // Keep the metadata, so that the new job belongs to the album.
    await derive(job, { metadata: job.metadata }).catch(sayTrouble);
    setBusy(false);
  };
  const mayCompose = picture === null && !hasExpired(photo.current);
  return html`<div class="row wrap actions">
    ${mayCompose && html`<${Button} kind="small" icon="wand" disabled=${isBusy} onClick=${compose}
      aria-label=${`Give ${name} a background`}>Give it a background<//>`}
    ${isLarge && html`<a class="button primary" href=${`#/photo/${encodeURIComponent(photo.id)}`}>Open it</a>`}
    ${picture && html`<a class=${`button ${isLarge ? "" : "quiet icon"}`} href=${picture} download=${fileNameOf(member)}
      aria-label=${`Download ${name}`} title=${`Download ${name}`}><${Icon} name="download" />${isLarge && "Download"}</a>`}
    <${Button} kind="quiet" icon="zoom" label=${`Show ${name} full screen`} onClick=${onShow} />
  </div>`;
}

/** Return the file name of a member's picture; its rank comes first. */
export function fileNameOf({ name, rank, photo }) {
  const place = rank === null ? "" : `${String(rank).padStart(3, "0")} `;
  return `${place}${stemOf(name)}.${photo.current.image.format}`;
}

function Ended({ job }) {
  const [isBusy, setBusy] = useState(false);
  const again = async () => {
    setBusy(true);
    await redrive(job.id).catch(sayTrouble);
    setBusy(false);
  };
  if (job.error === null) return html`<p class="soft">Canceled.</p>`;
  return html`<${Fault} error=${job.error} />
    ${mayGoOn(job.error) && html`<div class="row actions"><${Button} kind="small" icon="refresh" disabled=${isBusy}
      onClick=${again}>Try again<//></div>`}`;
}
