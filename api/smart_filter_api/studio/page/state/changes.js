/**
 * Changes to a photo's picture, as fast as somebody clicks: the last one counts.
 *
 * A change is a derived job. One that comes before the former has ended takes its place and takes
 * over what that asked for; the former's job is deleted, so that a photo has no versions but those
 * that somebody has seen. What fails leaves the picture as it was, and can be tried again.
 */

import { signal } from "@preact/signals";
import { ended, isFinal, jobs, put, remove } from "./jobs.js";
import { askToDerive, photos, show } from "./photos.js";

/**
 * By photo: `{base: job, recipe, file, correction, job: id|null, error: null|Problem|Away|the
 * job's error}`.
 */
const changes = signal(new Map());
/** Photos that the service does not keep any more: nothing can be made of them. */
const gone = signal(new Set());

/**
 * Change the picture.
 *
 * recipe: names that are to be otherwise. file: a background to send along. correction: what was
 * painted; `send(job)` sends it as a correction of a job, and returns its id, `done(job)` is
 * called once there is a picture with it.
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
    // Until there is another to show, it is what both were made of; not the newest.
    show(former.base);
    discard(former.job);
  }
}

/** Try again what failed. */
export function changeAgain(photo) {
  begin(photo, changes.value.get(photo.id));
}

/** Give up what is being made, or what failed; the picture stays what it was. */
export function giveUp(photo) {
  const known = changes.value.get(photo.id);
  if (known === undefined) return;
  set(photo.id, undefined);
  show(known.base);
  if (known.job) discard(known.job);
}

/** Whether a change is on its way. */
export function isChanging(photo) {
  return changes.value.get(photo.id)?.error === null;
}

/** Return what went wrong with the last change, null when nothing did. */
export function troubleOf(photo) {
  return changes.value.get(photo.id)?.error ?? null;
}

/** Whether the service does not keep the photo any more, as far as it is known. */
export function isGone(photo) {
  return gone.value.has(photo.id);
}

/** Return the recipe of the picture, with what is being made of it; null is as nothing said. */
export function recipeOf(photo) {
  const known = changes.value.get(photo.id);
  if (known?.error !== null) return photo.current.recipe;
  const file = known.file === null ? {} : { background: "file" };
  return { ...photo.current.recipe, ...known.recipe, ...file };
}

function begin(photo, { base, recipe, file, correction }) {
  const told = { base, recipe, file, correction, job: null, error: null };
  set(photo.id, told);
  make(photo.id, told);
}

async function make(id, told) {
  const isLast = () => changes.value.get(id) === told;
  try {
    told.base = await settled(told.base);
    if (!isLast()) return;
    const correctionId = await told.correction?.send(told.base);
    if (!isLast()) return;
    const job = await askToDerive(told.base, told.recipe, { file: told.file, correctionId });
    if (!isLast()) {
      discard(job.id);
      return;
    }
    told.job = job.id;
    put(job);
    show(job);
    const done = await ended(job.id);
    if (!isLast()) return;
    if (done?.state === "failed") fail(id, told, done.error);
    else set(id, undefined);
    if (done?.state === "succeeded") told.correction?.done(done);
    if (done?.state === "canceled") {
      show(told.base);
      discard(done.id);
    }
  } catch (error) {
    if (isLast()) fail(id, told, error);
  }
}

function fail(id, told, error) {
  if (error.code === "inputs_expired") gone.value = new Set([...gone.value, id]);
  show(told.base);
  if (told.job) discard(told.job);
  set(id, { ...told, job: null, error });
}

/** Return what a job can be derived as: it when it has ended well, else what it was made of. */
async function settled(job) {
  if (!isFinal(jobs.value.get(job.id) ?? job)) await ended(job.id);
  const known = (id) => photos.value.flatMap(({ versions }) => versions).find((one) => one.id === id);
  const done = known(job.id);
  if (done?.state === "succeeded") return done;
  const parent = known(job.parent_id);
  return parent === undefined ? job : settled(parent);
}

/** Delete a job whose picture nobody waits for; where that fails, it stays as a version. */
function discard(id) {
  remove(id).catch(() => {});
}

function set(id, told) {
  const known = new Map(changes.value);
  if (told === undefined) known.delete(id);
  else known.set(id, told);
  changes.value = known;
}
