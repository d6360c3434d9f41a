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

/** What `photos` held before: one of which nothing is new stays the same object. */
let former = new Map();

/** Photos, the newest first: `{id, versions: jobs, oldest first, current: job}`. */
export const photos = computed(() => {
  const byPhoto = new Map();
  // Ids begin with the time.
  for (const job of [...jobs.value.values()].sort((a, b) => (a.id < b.id ? 1 : -1))) {
    const id = photoIdOf(job);
    if (!byPhoto.has(id)) byPhoto.set(id, []);
    byPhoto.get(id).unshift(job);
  }
  const known = former;
  former = new Map();
  for (const [id, versions] of byPhoto) {
    const photo = { id, versions, current: currentOf(id, versions) };
    former.set(id, isSame(photo, known.get(id)) ? known.get(id) : photo);
  }
  return [...former.values()];
});

/** Show a version of its photo. */
export function show(job) {
  shown.value = { ...shown.value, [photoIdOf(job)]: job.id };
  sessionStorage.setItem(SHOWN, JSON.stringify(shown.value));
}

/**
 * Return a photo, asked for when it is not known; null when there is none. Throws Problem or Away.
 */
export async function findPhoto(id) {
  put(...(await versionsOf(id)).filter((job) => !jobs.value.has(job.id)));
  return photos.value.find((photo) => photo.id === id) ?? null;
}

/** Return all versions of a photo, the oldest ones too. Throws Problem or Away. */
export async function versionsOf(id) {
  const found = [];
  let cursor = null;
  do {
    const query = new URLSearchParams({ "metadata.studio": id, limit: 200 });
    if (cursor !== null) query.set("cursor", cursor);
    const page = await ask("GET", `/v1/jobs?${query}`);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  try {
    // Of a photo that came another way, the first version is the job of that very id.
    found.push(await ask("GET", `/v1/jobs/${id}`));
  } catch (error) {
    if (![404, 410].includes(error.status)) throw error;
  }
  return found;
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

function isSame(photo, known) {
  return (
    known !== undefined &&
    known.current === photo.current &&
    known.versions.length === photo.versions.length &&
    known.versions.every((job, index) => job === photo.versions[index])
  );
}
