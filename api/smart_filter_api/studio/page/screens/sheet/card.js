/** A card of the sheet, from adding a photo to its result. */

import { html } from "../../html.js";
import { isFinal } from "../../state/jobs.js";
import { nameOf } from "../naming.js";
import { AtWork } from "./at-work.js";
import { Ended } from "./ended.js";
import { Finished } from "./finished.js";
import { Picture } from "./picture.js";
import { isSelecting, selected, toggle } from "./selection.js";
import { Sending } from "./sending.js";

/**
 * One entry of the sheet (entries.js). It stays the same element when the service accepts the photo,
 * so that its picture does not flicker and the focus is not lost.
 */
export function Card({ id, sending, photo }) {
  const entry = { id, sending, photo };
  const name = nameOf(entry);
  const state = sending?.state ?? photo.current.state;
  const isChosen = isSelecting.value && selected.value.has(id);
  return html`<li class=${`card ${isChosen ? "chosen" : ""}`} data-state=${state}>
    <div class="frame">
      <${Picture} entry=${entry} />
      ${isSelecting.value && html`<label class="choose">
        <input type="checkbox" checked=${isChosen} aria-label=${name} onChange=${() => toggle(id)} />
      </label>`}
    </div>
    <div class="about" inert=${isSelecting.value}>
      <h3 title=${name}>${name}</h3>
      <${bodyOf(entry)} ...${entry} />
    </div>
  </li>`;
}

function bodyOf({ sending, photo }) {
  if (sending) return Sending;
  if (!isFinal(photo.current)) return AtWork;
  return photo.current.state === "succeeded" ? Finished : Ended;
}
