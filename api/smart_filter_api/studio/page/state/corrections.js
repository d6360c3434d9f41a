/**
 * Strokes painted over a cutout until a picture includes them, and the consent to train on them.
 *
 * Strokes are `{points: [[x, y]…], width, keep}` in pixels of the upright photo, so that they are
 * valid for every version of it; or, with `snap` in place of a width, they mark regions of the photo
 * (docs/api/corrections.md). They survive a reload, and are removed at sign-out.
 */

import { effect, signal } from "@preact/signals";
import { ask } from "../service/api.js";
import { newId } from "../service/ids.js";
import { readStored, store } from "../service/stored.js";
import { session } from "./session.js";

/** Limit of strokes per correction (docs/api/corrections.md). */
export const MOST_STROKES = 200;
export const MOST_POINTS = 20_000;

const STROKES = "smart-filter.strokes";
const NONE = [];

/** Whether strokes may be used to train models; false by default, and after a reload. */
export const hasConsented = signal(false);

const strokes = signal(new Map(readStored("sessionStorage", STROKES) ?? []));
/** By photo: its strokes before each change, for undo, and those that undo has left, for redo. */
const former = new Map();
const later = signal(new Map());
/** By photo: the correction sent last, so that a retry does not create a second one. */
const sent = new Map();

effect(() => {
  if (session.value.state !== "out") return;
  hasConsented.value = false;
  former.clear();
  later.value = new Map();
  sent.clear();
  keep(new Map());
});

/** Return the strokes of a photo that are not applied yet. */
export function strokesOf(photoId) {
  return strokes.value.get(photoId) ?? NONE;
}

/** Return whether a photo has the maximum number of strokes. */
export function isFull(photoId) {
  const drawn = strokesOf(photoId);
  const points = drawn.reduce((sum, stroke) => sum + stroke.points.length, 0);
  return drawn.length >= MOST_STROKES || points >= MOST_POINTS;
}

/** Add a stroke. */
export function add(photoId, stroke) {
  change(photoId, [...strokesOf(photoId), stroke]);
}

/** Remove all strokes of a photo; `stepBack` restores them. */
export function clear(photoId) {
  change(photoId, NONE);
}

/** Undo the last stroke, or clearing; return whether there was anything to undo. */
export function stepBack(photoId) {
  // After a reload, only the strokes are known, not the earlier states.
  const before = former.get(photoId)?.pop() ?? strokesOf(photoId).slice(0, -1);
  if (before.length === 0 && strokesOf(photoId).length === 0) return false;
  setLater(photoId, [...laterOf(photoId), strokesOf(photoId)]);
  put(photoId, before);
  return true;
}

/** Return whether there is anything to redo. */
export function canStepForth(photoId) {
  return laterOf(photoId).length > 0;
}

/** Redo what was undone last; return whether there was anything to redo. */
export function stepForth(photoId) {
  if (!canStepForth(photoId)) return false;
  const next = laterOf(photoId).at(-1);
  setLater(photoId, laterOf(photoId).slice(0, -1));
  remember(photoId);
  put(photoId, next);
  return true;
}

/** Remove strokes that are in the picture now; strokes painted meanwhile stay. */
export function settle(photoId, applied) {
  former.delete(photoId);
  setLater(photoId, NONE);
  put(photoId, strokesOf(photoId).filter((stroke) => !applied.includes(stroke)));
}

/** Send strokes as a correction of a job; return its id. Throws Problem or Away. */
export async function send(photoId, job, drawn) {
  const consent = hasConsented.value;
  const last = sent.get(photoId);
  const isSame = last?.job === job.id && last.drawn === drawn && last.consent === consent;
  const key = isSame ? last.key : newId();
  sent.set(photoId, { job: job.id, drawn, consent, key });
  const correction = await ask("POST", `/v1/jobs/${job.id}/corrections`, {
    json: { kind: "matte", stage: "segmentation", strokes: drawn, consent },
    headers: { "Idempotency-Key": `"${key}"` },
  });
  return correction.id;
}

/**
 * Return a correction of faces for `change` (changes.js): `{remove}` by their numbers, `{add}` by
 * their boxes, or `{restore: true}`.
 */
export function facesCorrection(faces) {
  const key = newId();
  const send = async (job) => {
    const json = { kind: "faces", stage: "face", faces };
    const headers = { "Idempotency-Key": `"${key}"` };
    return (await ask("POST", `/v1/jobs/${job.id}/corrections`, { json, headers })).id;
  };
  return { send, done: () => {} };
}

/** Return the corrections of jobs, newest first. Throws Problem or Away. */
export async function given(jobs) {
  const lists = await Promise.all(jobs.map((job) => ask("GET", `/v1/jobs/${job.id}/corrections`)));
  return lists
    .flatMap(({ items }) => items)
    .sort((one, other) => other.created_at.localeCompare(one.created_at));
}

function change(photoId, drawn) {
  remember(photoId);
  setLater(photoId, NONE);
  put(photoId, drawn);
}

function remember(photoId) {
  former.set(photoId, [...(former.get(photoId) ?? []), strokesOf(photoId)]);
}

function laterOf(photoId) {
  return later.value.get(photoId) ?? NONE;
}

function setLater(photoId, drawn) {
  later.value = new Map(later.value).set(photoId, drawn);
}

function put(photoId, drawn) {
  const known = new Map(strokes.value);
  if (drawn.length > 0) known.set(photoId, drawn);
  else known.delete(photoId);
  keep(known);
}

function keep(known) {
  strokes.value = known;
  store("sessionStorage", STROKES, [...known]);
}
