/** Photos taken in this visit, and their state. */

import { NoPicture, ServiceImage } from "../../controls/service-image.js";
import { html } from "../../html.js";
import { shots } from "../../state/live.js";
import { pending } from "../../state/pending.js";
import { allPhotos } from "../../state/outlines.js";
import { knownPreview, previewOf } from "../../state/previews.js";

export function Shots() {
  const known = shots.value.map(shotOf).filter(({ sending, job }) => sending || job);
  if (known.length === 0) return null;
  return html`<section class="stack tight" aria-labelledby="live-shots">
    <h2 id="live-shots">Photos you took</h2>
    <ul class="shots" aria-label="Photos you took">
      ${known.map((shot) => html`<${Shot} key=${shot.id} ...${shot} />`)}
    </ul>
  </section>`;
}

/** Return a pending or stored photo; neither when it was deleted meanwhile. */
function shotOf(id) {
  const sending = pending.value.find((one) => one.id === id);
  return { id, sending, job: allPhotos.value.find((one) => one.id === id)?.current };
}

function Shot({ id, sending, job }) {
  const state = job?.state ?? sending.state;
  const local = sending ? previewOf(id, sending.file) : knownPreview(id);
  const address = job?.outputs?.thumbnail ?? local?.value;
  const noPicture = html`<${NoPicture} />`;
  const picture = address ? html`<${ServiceImage} src=${address} alt="" instead=${noPicture} />` : noPicture;
  const words = html`<span class="small">${WORDS[state] ?? "Being made"}</span>`;
  return html`<li data-state=${state}>
    ${job
      ? html`<a href=${`#/photo/${encodeURIComponent(id)}`} aria-label=${`Open the photo: ${WORDS[state] ?? "being made"}`}>
          ${picture}${words}</a>`
      : html`<span>${picture}${words}</span>`}
  </li>`;
}

const WORDS = {
  looking: "Sending",
  waiting: "Waiting to be sent",
  sending: "Sending",
  refused: "Not accepted",
  succeeded: "Ready",
  failed: "Failed",
  canceled: "Canceled",
};
