/**
 * Outlines of photos that are far from the window.
 *
 * Jobs take six kilobytes each, so that a sheet of thousands of photos keeps those of a screen of
 * them, and of the others what lists and choices need. The jobs are read again when they are near.
 */

import { computed, signal } from "@preact/signals";
import { ask } from "../service/api.js";
import { newestFirst } from "../service/ids.js";
import { forget, isDeleted, isFinal, put, sameVisit } from "./jobs.js";
import { photos } from "./photos.js";
import { forgetPreview } from "./previews.js";

/** By photo, as in state/photos.js, with `isOutline`. */
const outlines = signal(new Map());

/** Photos and outlines, newest first. */
export const allPhotos = computed(() => {
  const known = new Set(photos.value.map(({ id }) => id));
  const far = [...outlines.value.values()].filter(({ id, current }) => !known.has(id) && !isDeleted(current.id));
  return far.length === 0 ? photos.value : newestFirst([...photos.value, ...far]);
});

/** Keep only the outlines of photos, except unfinished ones, and those that show an older version. */
export function outline(wholes) {
  const done = wholes.filter(
    ({ isOutline, versions, current }) => !isOutline && versions.every(isFinal) && current === versions.at(-1),
  );
  if (done.length === 0) return;
  const all = new Map(outlines.value);
  for (const { id, versions, current } of done) {
    const kept = versions.map(outlineOf);
    all.set(id, { id, isOutline: true, versions: kept, current: kept.at(-1) });
    forgetPreview(id);
  }
  outlines.value = all;
  forget(...done.flatMap(idsOf));
}

/** Read the jobs of outlined photos again. Throws Problem or Away. */
export async function readWhole(far) {
  const isSame = sameVisit();
  const jobs = await Promise.all(far.flatMap(idsOf).map((id) => ask("GET", `/v1/jobs/${id}`).catch(unlessGone)));
  if (!isSame()) return;
  put(...jobs.filter(Boolean));
  const all = new Map(outlines.value);
  for (const { id } of far) all.delete(id);
  outlines.value = all;
}

/** Forget all outlines, as at sign-out. */
export function forgetOutlines() {
  outlines.value = new Map();
}

function idsOf({ versions }) {
  return versions.map(({ id }) => id);
}

function outlineOf({ id, state, created_at, expires_at, parent_id, batch_id, rank, needs_review, photo_name, metadata, outputs }) {
  const { image } = outputs;
  return {
    ...{ id, state, created_at, expires_at, parent_id, batch_id, rank, needs_review, photo_name },
    ...{ isOutline: true, metadata, outputs: image === undefined ? {} : { image } },
  };
}

function unlessGone(error) {
  if (![404, 410].includes(error.status)) throw error;
}
