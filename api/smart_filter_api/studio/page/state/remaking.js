/** Makes versions of many photos, as one action of state/bulk.js. */

import { newId } from "../service/ids.js";
import { act } from "./bulk.js";
import { ended, hasExpired, isFinal, jobs, put, remove } from "./jobs.js";
import { askToDerive, photos, show } from "./photos.js";

/**
 * Derive a version of each entry's photo; return what `act` returns.
 *
 * recipeOf: returns the changed names of a recipe for a job, or null if nothing changes. file: a
 * background to send along. made: called with each finished job. whole: called at the end.
 */
export function remake(entries, { title, recipeOf, file, made, whole }) {
  const keys = new Map(entries.map(({ id }) => [id, newId()]));
  const begin = async (entry, { signal }) => {
    const base = baseOf(latestOf(entry));
    const recipe = recipeOf(base);
    if (recipe === null) return { base, job: null };
    // Other users' single photos come first.
    const changed = { priority: "standard", ...recipe };
    const job = await askToDerive(base, changed, { file, key: keys.get(entry.id), signal });
    put(job);
    show(job);
    return { base, job };
  };
  const finish = async ({ base, job }, entry, options) => {
    if (job === null) return;
    const done = await ended(job.id);
    if (done?.state !== "succeeded") {
      show(base);
      if (done !== undefined) discard(done);
      throw done?.error ?? CANCELED;
    }
    await made?.(done, options);
  };
  const undo = ({ base, job }) => {
    if (job === null || isFinal(jobs.value.get(job.id) ?? job)) return;
    show(base);
    discard(job);
  };
  const again = (others) => remake(others, { title, recipeOf, file, made, whole });
  return act(entries, { title, begin, finish, undo, whole, again });
}

/** Return the job with an entry's finished picture. Throws why there is none. */
export function pictureOf(entry) {
  const { current } = latestOf(entry) ?? {};
  if (current === undefined || !isFinal(current)) throw UNFINISHED;
  if (current.state !== "succeeded" || !current.outputs.image) throw NO_PICTURE;
  if (hasExpired(current)) throw EXPIRED;
  return current;
}

/** Return an entry's photo as it is now; undefined if it was not sent yet, or is deleted. */
function latestOf({ id }) {
  return photos.value.find((photo) => photo.id === id);
}

function baseOf(photo) {
  const base = photo && [photo.current, ...photo.versions.toReversed()].find(isFinal);
  if (base === undefined) throw UNFINISHED;
  return base;
}

/** Delete an unwanted version; if that fails, it stays. */
function discard(job) {
  remove(job.id).catch(() => {});
}

const UNFINISHED = { title: "It is not finished yet", remedy: "Try again when it is." };
const NO_PICTURE = { title: "It has no finished picture" };
const EXPIRED = { title: "Its picture has expired", remedy: "Add the photo again." };
const CANCELED = { title: "It was canceled or deleted meanwhile" };
