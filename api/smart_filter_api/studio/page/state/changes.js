/**
 * Changes to a photo's picture; of several quick changes, the last one counts.
 *
 * A change is a derived job. A change made before the previous one has finished replaces it and
 * includes its changes; the previous job is deleted, so that a photo has only versions that the user
 * has seen. A failed change leaves the picture as it was, and can be retried.
 */

import { signal } from "@preact/signals";
import { ended, isFinal, jobs, put, remove } from "./jobs.js";
import { askToDerive, photos, show } from "./photos.js";

/**
 * By photo: `{base: job, recipe, file, correction, job: id|null, error: null|Problem|Away|the
 * job's error}`.
 */
const changes = signal(new Map());
/** Photos that have expired on the service: nothing can be derived from them. */
const gone = signal(new Set());

/**
 * Change the picture.
 *
 * recipe: the changed names. file: a background to send along. correction: painted strokes;
 * `send(job)` sends them as a correction of a job and returns its id; `made(job)` is called once
 * the job that applies them is created, `done(job)` once its picture is.
 */
export function change(photo, recipe, file = null, correction = null) {
  const known = changes.value.get(photo.id);
  const former = known?.error === null ? known : undefined;
  const wanted = { ...former?.recipe, ...recipe };
  if (file !== null) delete wanted.background;
  begin(photo, {
    base: former?.base ?? photo.current,
    recipe: wanted,
    file: file ?? ("background" in recipe ? null : (former?.file ?? null)),
    correction: correction ?? former?.correction ?? null,
  });
  if (former?.job) {
    // Until the new version is shown, show the common base, not the newest version.
    show(former.base);
    discard(former.job);
  }
}

/** Retry a failed change. */
export function changeAgain(photo) {
  begin(photo, changes.value.get(photo.id));
}

/** Cancel a change, or drop a failed one; the picture stays as it was. */
export function giveUp(photo) {
  const known = changes.value.get(photo.id);
  if (known === undefined) return;
  set(photo.id, undefined);
  show(known.base);
  if (known.job) discard(known.job);
}

/** Return whether a change is in progress. */
export function isChanging(photo) {
  return changes.value.get(photo.id)?.error === null;
}

/** Return the error of the last change, or null. */
export function troubleOf(photo) {
  return changes.value.get(photo.id)?.error ?? null;
}

/** Return whether the photo is known to have expired on the service. */
export function isGone(photo) {
  return gone.value.has(photo.id);
}

/** Return the recipe of the picture with the pending changes; null resets a name. */
export function recipeOf(photo) {
  const known = changes.value.get(photo.id);
  if (known?.error !== null) return photo.current.recipe;
  const file = known.file === null ? {} : { background: "file" };
  return { ...photo.current.recipe, ...known.recipe, ...file };
}

function begin(photo, { base, recipe, file, correction }) {
  const entry = { base, recipe, file, correction, job: null, error: null };
  set(photo.id, entry);
  make(photo.id, entry);
}

async function make(id, entry) {
  const isLast = () => changes.value.get(id) === entry;
  try {
    entry.base = await settled(entry.base);
    if (!isLast()) return;
    const correctionId = await entry.correction?.send(entry.base);
    if (!isLast()) return;
    const job = await askToDerive(entry.base, entry.recipe, { file: entry.file, correctionId });
    if (!isLast()) {
      discard(job.id);
      return;
    }
    entry.job = job.id;
    entry.correction?.made(job);
    put(job);
    show(job);
    const done = await ended(job.id);
    if (!isLast()) return;
    if (done?.state === "failed") fail(id, entry, done.error);
    else set(id, undefined);
    if (done?.state === "succeeded") entry.correction?.done(done);
    if (done?.state === "canceled") {
      show(entry.base);
      discard(done.id);
    }
  } catch (error) {
    if (isLast()) fail(id, entry, error);
  }
}

function fail(id, entry, error) {
  if (error.code === "inputs_expired") gone.value = new Set([...gone.value, id]);
  show(entry.base);
  if (entry.job) discard(entry.job);
  set(id, { ...entry, job: null, error });
}

/** Return the job to derive from: this one if it has succeeded, else its base. */
async function settled(job) {
  if (!isFinal(jobs.value.get(job.id) ?? job)) await ended(job.id);
  const known = (id) => photos.value.flatMap(({ versions }) => versions).find((one) => one.id === id);
  const done = known(job.id);
  if (done?.state === "succeeded") return done;
  const parent = known(job.parent_id);
  return parent === undefined ? job : settled(parent);
}

/** Delete a replaced job; if that fails, it stays as a version. */
function discard(id) {
  remove(id).catch(() => {});
}

function set(id, entry) {
  const known = new Map(changes.value);
  if (entry === undefined) known.delete(id);
  else known.set(id, entry);
  changes.value = known;
}
