/** A card of the sheet, from adding a photo to its result. */

import { html } from "../../html.js";
import { NoPicture } from "../../controls/service-image.js";
import { isFinal } from "../../state/jobs.js";
import { nameOf } from "../naming.js";
import { AtWork } from "./at-work.js";
import { Choice } from "./choosing.js";
import { Ended } from "./ended.js";
import { Finished } from "./finished.js";
import { Picture } from "./picture.js";
import { isSelecting } from "./selection.js";
import { Sending } from "./sending.js";

/**
 * One entry of the sheet (entries.js). It stays the same element when the service accepts the photo,
 * so that its picture does not flicker and the focus is not lost.
 */
export function Card({ id, sending, photo }) {
  const entry = { id, sending, photo };
  const name = nameOf(entry);
  const state = sending?.state ?? photo.current.state;
  return html`<li class="card" data-id=${id} data-state=${state}>
    <div class="frame">
      ${photo?.isOutline
        ? html`<div class="picture"><${NoPicture} /></div>`
        : html`<${Picture} ...${entry} isInert=${isSelecting.value} />`}
      <${Choice} id=${id} name=${name} />
    </div>
    <div class="about" inert=${isSelecting.value}>
      <h3 title=${name}>${name}</h3>
      ${!photo?.isOutline && html`<${bodyOf(entry)} ...${entry} />`}
    </div>
  </li>`;
}

function bodyOf({ sending, photo }) {
  if (sending) return Sending;
  if (!isFinal(photo.current)) return AtWork;
  return photo.current.state === "succeeded" ? Finished : Ended;
}
