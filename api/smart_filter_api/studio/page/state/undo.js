/**
 * Undo and redo through the versions of a photo.
 *
 * Each version knows its parent, so that steps are the same after a reload: undo goes to the parent;
 * redo goes to the child that was left, else to the newest child.
 */

import { ask } from "../service/api.js";
import { giveUp, isChanging } from "./changes.js";
import { find, jobs, put } from "./jobs.js";
import { show } from "./photos.js";

/** By version: the child from which the user went back to it. */
const left = new Map();

/** Return the version that undo leads to; undefined if there is none. */
export function before(photo) {
  let { parent_id: parent } = photo.current;
  while (parent !== null) {
    const job = photo.versions.find((one) => one.id === parent);
    if (job === undefined || job.state === "succeeded") return job;
    parent = job.parent_id;
  }
  return undefined;
}

/** Return the version that redo leads to; undefined if there is none. */
export function after(photo) {
  const children = photo.versions.filter(
    (job) => job.parent_id === photo.current.id && job.state === "succeeded",
  );
  return children.find((job) => job.id === left.get(photo.current.id)) ?? children.at(-1);
}

/** Undo one step, or cancel a change in progress; return whether there was a step. */
export function undo(photo) {
  if (isChanging(photo)) {
    giveUp(photo);
    return true;
  }
  const job = before(photo);
  if (job === undefined) return false;
  left.set(job.id, photo.current.id);
  show(job);
  return true;
}

/** Redo one step; return whether there was one. */
export function redo(photo) {
  const job = isChanging(photo) ? undefined : after(photo);
  if (job !== undefined) show(job);
  return job !== undefined;
}

/** Read all versions of a photo, including those older than the jobs on the page. */
export async function loadVersions(photo) {
  const query = new URLSearchParams({ "metadata.studio": photo.id, limit: 200 });
  const page = await ask("GET", `/v1/jobs?${query}`);
  put(...page.items.filter((job) => !jobs.value.has(job.id)));
  // The first job of a photo submitted elsewhere has no mark: its id stands for the photo.
  const isFirstUnknown = page.items.some((job) => job.parent_id === photo.id);
  if (isFirstUnknown) await find(photo.id);
}
