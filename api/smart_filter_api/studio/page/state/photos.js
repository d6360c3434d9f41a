/**
 * Photos as people think of them: one photo, and the versions that were made of it.
 *
 * Each version is a job. Those that the studio submits carry the same `metadata.studio`, which
 * derived jobs inherit; of a job that came another way, its own id stands for the photo.
 */

import { computed, signal } from "@preact/signals";
import { ask } from "../service/api.js";
import { newId } from "../service/ids.js";
import { jobs, put } from "./jobs.js";

const SHOWN = "smart-filter.shown";

/** Which version of a photo is shown, where it is not the newest (after undo). */
const shown = signal(JSON.parse(sessionStorage.getItem(SHOWN) ?? "{}"));

/** Return what stands for a job's photo. */
export function photoIdOf(job) {
  return job.metadata.studio ?? job.id;
}

/** Photos, the newest first: `{id, versions: jobs, oldest first, current: job}`. */
export const photos = computed(() => {
  const byPhoto = new Map();
  const known = [...jobs.value.values()].sort((a, b) => b.created_at.localeCompare(a.created_at));
  for (const job of known) {
    const id = photoIdOf(job);
    byPhoto.set(id, [job, ...(byPhoto.get(id) ?? [])]);
  }
  return [...byPhoto].map(([id, versions]) => ({ id, versions, current: currentOf(id, versions) }));
});

/** Show a version of its photo. */
export function show(job) {
  shown.value = { ...shown.value, [photoIdOf(job)]: job.id };
  sessionStorage.setItem(SHOWN, JSON.stringify(shown.value));
}

/**
 * Make another version of a job's photo, whose recipe differs, and show it; return its job.
 *
 * recipe: names that are to be otherwise, as `POST …/derive` takes them. correctionId: of a
 * correction of that job. Throws Problem, Away or AbortError.
 */
export async function derive(job, recipe, { correctionId, signal: aborted } = {}) {
  const metadata = { ...recipe.metadata, studio: photoIdOf(job) };
  const derived = await ask("POST", `/v1/jobs/${job.id}/derive`, {
    json: { recipe: { ...recipe, metadata }, correction_id: correctionId },
    headers: { "Idempotency-Key": `"${newId()}"` },
    signal: aborted,
  });
  put(derived);
  show(derived);
  return derived;
}

function currentOf(id, versions) {
  return versions.find((job) => job.id === shown.value[id]) ?? versions.at(-1);
}
