/** Picture of a card: the local file's, the photo's, or the result's. */

import { NoPicture, ServiceImage } from "../../controls/service-image.js";
import { html } from "../../html.js";
import { hasExpired, isFinal } from "../../state/jobs.js";
import { knownPreview, previewOf } from "../../state/previews.js";
import { nameOf } from "../naming.js";

// Largest transparent picture shown itself; thumbnails have a white background.
const MOST_BYTES_SHOWN = 3_000_000;
// Pictures with a larger aspect ratio are shown whole; a square would crop more than half.
const WIDEST = 2;

/** An entry of entries.js. A finished picture links to its photo; isInert: while photos are selected. */
export function Picture({ id, sending, photo, isInert }) {
  const local = sending ? previewOf(id, sending.file) : knownPreview(id);
  const job = photo && picturedBy(photo);
  const shown = sending ? { address: local.value } : shownOf(job, local?.value);
  const name = nameOf({ sending, photo });
  const inside = shown.address
    ? html`<${ServiceImage} src=${shown.address} alt=${isFinished(photo) ? `${name}, finished` : ""}
        class=${`${shown.isWhole ? "whole" : ""} ${shown.isTransparent ? "checkerboard" : ""}`}
        style=${{ objectPosition: shown.position }} loading="lazy" decoding="async" draggable=${false} />`
    : html`<${NoPicture} words=${wordsFor(shown)} />`;
  if (!job || !isFinal(job)) return html`<div class="picture">${inside}</div>`;
  return html`<a class="picture" inert=${isInert} draggable=${false} href=${`#/photo/${encodeURIComponent(id)}`} aria-label=${`Open ${name}`}>${inside}</a>`;
}

/** Return the version that a card shows: the previous one until the current one is finished. */
function picturedBy({ current, versions }) {
  const former = versions.find(({ id }) => id === current.parent_id);
  return !isFinal(current) && former?.state === "succeeded" ? former : current;
}

/** Return the address of a job's picture, and the part that a square shows. */
function shownOf(job, local) {
  if (job.state !== "succeeded") {
    // Until its photo was read, the local one may still be loading.
    const address = local || (job.photo ? job.links.photo : local);
    return { address, ...part(job.photo, peopleOf(job)) };
  }
  if (hasExpired(job)) return { isExpired: true };
  const { thumbnail, image } = job.outputs;
  // In an album, only the best photos are composed.
  if (!thumbnail && !image) return { address: job.links.photo, ...part(job.photo, peopleOf(job)) };
  const isTransparent =
    job.background.kind === "transparent" && image !== undefined && job.image?.bytes < MOST_BYTES_SHOWN;
  return {
    address: isTransparent ? image : (thumbnail ?? image),
    isTransparent,
    ...part(job.image, placed(peopleOf(job), job.frame)),
  };
}

/** Return the part of a picture that a square shows: around the people, else the center. */
function part(size, people) {
  if (!size) return {};
  const { width, height } = size;
  const side = Math.min(width, height);
  const [left, top, wide, high] = people ?? [width / 2, height / 2, 0, 0];
  // Show wide groups whole, so that no person is cropped.
  const isTooWide = Math.max(wide, high) > side || Math.max(width, height) > WIDEST * side;
  if (isTooWide) return { isWhole: true };
  const along = (middle, length) => {
    const spare = length - side;
    if (spare <= 0) return 50;
    return Math.round(100 * Math.min(1, Math.max(0, (middle - side / 2) / spare)));
  };
  return { position: `${along(left + wide / 2, width)}% ${along(top + high / 2, height)}%` };
}

/** Return the box around the faces, else around the people, in the photo's pixels. */
function peopleOf(job) {
  const boxes = job.faces?.length ? job.faces.map((face) => face.box) : job.persons?.map(({ box }) => box);
  if (!boxes?.length) return null;
  const left = Math.min(...boxes.map(([x]) => x));
  const top = Math.min(...boxes.map(([, y]) => y));
  const right = Math.max(...boxes.map(([x, , width]) => x + width));
  const bottom = Math.max(...boxes.map(([, y, , height]) => y + height));
  return [left, top, right - left, bottom - top];
}

/** Convert a box of the photo to the picture's frame. */
function placed(box, frame) {
  if (box === null || !frame) return box ?? frame?.foreground ?? null;
  const [x, y, width, height] = box;
  const { left, top, scale } = frame;
  return [left + scale * x, top + scale * y, scale * width, scale * height];
}

function isFinished(photo) {
  return photo?.current.state === "succeeded";
}

function wordsFor({ address, isExpired }) {
  if (isExpired) return "Expired";
  // null: the browser cannot read the file. "" or undefined: not loaded yet.
  return address === null ? "No preview" : "";
}
