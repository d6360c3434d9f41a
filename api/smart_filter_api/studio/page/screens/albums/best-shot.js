/** The best photo of an album, large. */

import { ServiceImage } from "../../controls/service-image.js";
import { html } from "../../html.js";
import { hasExpired, isFinal } from "../../state/jobs.js";
import { counted } from "../../words.js";
import { AtWork } from "../sheet/at-work.js";
import { Stars } from "../sheet/stars.js";
import { Actions, Reasons } from "./member.js";
import { pictureOf } from "./members.js";

/** member: see members.js. */
export function BestShot({ member, onShow }) {
  const { job, photo, name, item, terms } = member;
  if (!photo || item.deleted) return null;
  const address = pictureOf(member) ?? photo.current.links.photo;
  return html`<section class="panel best-shot" aria-label="Best shot">
    <a class="picture" href=${`#/photo/${encodeURIComponent(photo.id)}`} aria-label=${`Open ${name}`}>
      ${hasExpired(photo.current)
        ? html`<span class="no-picture">Expired</span>`
        : html`<${ServiceImage} src=${address} alt=${`${name}, the best shot`} />`}</a>
    <div class="stack">
      <p class="tag accent">Best shot${terms && ` of ${counted(terms.of, "photo")}`}</p>
      <h2>${name}</h2>
      ${job.rating && html`<${Stars} points=${job.rating.points} />`}
      <${Reasons} member=${member} />
      ${isFinal(photo.current)
        ? html`<${Actions} member=${member} onShow=${onShow} isLarge />`
        : html`<${AtWork} photo=${photo} />`}
    </div>
  </section>`;
}
