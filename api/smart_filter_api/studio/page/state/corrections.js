/**
 * Strokes painted over a cutout, and the consent to train on them.
 *
 * Strokes are `{points: [[x, y]…], width, keep, snap}` in pixels of the upright photo, so that they
 * are valid for every version of it (docs/api/corrections.md). A version includes the strokes that
 * were applied to it; a correction holds all of them and replaces the one before it, so that each
 * stroke can be undone after it was applied. Strokes survive a reload, and are removed at sign-out.
 */

import { effect, signal } from "@preact/signals";
import { ask } from "../service/api.js";
import { newId } from "../service/ids.js";
import { readStored, store } from "../service/stored.js";
import { photos } from "./photos.js";
import { session } from "./session.js";

/** Limit of strokes per correction (docs/api/corrections.md). */
export const MOST_STROKES = 200;
export const MOST_POINTS = 20_000;

const STROKES = "smart-filter.strokes";
const APPLIED = "smart-filter.applied-strokes";
const NONE = [];
const NOTHING = { id: null, strokes: NONE };

/** Whether strokes may be used to train models; false by default, and after a reload. */
export const hasConsented = signal(false);

/** By photo: its strokes, if no version has exactly these. */
const drawn = stored(STROKES);
/** By version: the strokes that it includes, and the id of their correction. */
const applied = stored(APPLIED);
/** By photo: `{now, former, later}`: its strokes, those before each change, and what undo left. */
const steps = signal(new Map());
/** By photo: the correction sent last, so that a retry does not create a second one. */
const sent = new Map();
/** By version in progress: what it will include, stored for a reload that comes before its end. */
const coming = new Map();

effect(() => {
  if (session.value.state !== "out") return;
  hasConsented.value = false;
  steps.value = new Map();
  sent.clear();
  coming.clear();
  keep(drawn, STROKES, new Map());
  keep(applied, APPLIED, new Map());
});

/** Return the strokes of a photo: those of its current version until they are changed. */
export function strokesOf(photo) {
  return drawn.value.get(photo.id) ?? appliedTo(photo).strokes;
}

/** Return the strokes of a photo that a version does not include; later ones override it. */
export function missingIn(photo, job) {
  const strokes = strokesOf(photo);
  const { strokes: included } = appliedTo(photo, job);
  return startsWith(strokes, included) ? strokes.slice(included.length) : NONE;
}

/** Return whether the current version includes exactly the strokes of the photo. */
export function isApplied(photo) {
  return !drawn.value.has(photo.id);
}

/** Return whether the current version includes strokes that were undone. */
export function wasUndone(photo) {
  return !startsWith(strokesOf(photo), appliedTo(photo).strokes);
}

/** Return whether a photo has the maximum number of strokes. */
export function isFull(photo) {
  const strokes = strokesOf(photo);
  const points = strokes.reduce((sum, stroke) => sum + stroke.points.length, 0);
  return strokes.length >= MOST_STROKES || points >= MOST_POINTS;
}

/** Add a stroke. */
export function add(photo, stroke) {
  change(photo, [...strokesOf(photo), stroke]);
}

/** Replace the last stroke. */
export function replaceLast(photo, stroke) {
  change(photo, [...strokesOf(photo).slice(0, -1), stroke]);
}

/** Remove all strokes of a photo; `stepBack` restores them. */
export function clear(photo) {
  change(photo, NONE);
}

/** Undo the last stroke, or clearing; return whether there was anything to undo. */
export function stepBack(photo) {
  const { now, former, later } = stepsOf(photo);
  // After a reload, only the strokes are known, not the earlier states.
  const before = former.at(-1) ?? now.slice(0, -1);
  if (before.length === 0 && now.length === 0) return false;
  put(photo, before, { former: former.slice(0, -1), later: [...later, now] });
  return true;
}

/** Return whether there is anything to redo. */
export function canStepForth(photo) {
  return stepsOf(photo).later.length > 0;
}

/** Redo what was undone last; return whether there was anything to redo. */
export function stepForth(photo) {
  const { now, former, later } = stepsOf(photo);
  if (later.length === 0) return false;
  put(photo, later.at(-1), { former: [...former, now], later: later.slice(0, -1) });
  return true;
}

/** Note that a version which is being made will include the strokes that were sent last. */
export function awaitIn(photo, job, strokes) {
  const id = strokes.length > 0 ? sent.get(photo.id).id : null;
  coming.set(job.id, { id, strokes });
  store("sessionStorage", APPLIED, [...applied.value, ...coming]);
}

/** Note that a version includes the strokes that it was made with; others stay to be applied. */
export function settle(photo, job, strokes) {
  const included = coming.get(job.id);
  // The user has signed out meanwhile.
  if (included === undefined) return;
  keep(applied, APPLIED, new Map(applied.value).set(job.id, included));
  if (drawn.value.get(photo.id) !== strokes) return;
  const left = new Map(drawn.value);
  left.delete(photo.id);
  keep(drawn, STROKES, left);
}

/** Send all strokes of a photo as a correction of a job; return its id. Throws Problem or Away. */
export async function send(photo, job, strokes) {
  const consent = hasConsented.value;
  const last = sent.get(photo.id);
  const isSame = last?.job === job.id && last.strokes === strokes && last.consent === consent;
  const one = isSame ? last : { job: job.id, strokes, consent, key: newId() };
  sent.set(photo.id, one);
  const replaces = appliedTo(photo, job).id;
  const correction = await ask("POST", `/v1/jobs/${job.id}/corrections`, {
    json: { kind: "matte", stage: "segmentation", strokes, consent, replaces },
    headers: { "Idempotency-Key": `"${one.key}"` },
  });
  one.id = correction.id;
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
  return { send, made: () => {}, done: () => {} };
}

/** Return the corrections of jobs, newest first. Throws Problem or Away. */
export async function given(jobs) {
  const lists = await Promise.all(jobs.map((job) => ask("GET", `/v1/jobs/${job.id}/corrections`)));
  return lists
    .flatMap(({ items }) => items)
    .sort((one, other) => other.created_at.localeCompare(one.created_at));
}

/**
 * Return what a version includes, by default the current one: what was applied to it, or to what it
 * was derived from.
 */
function appliedTo({ id: photoId }, job) {
  const photo = photos.value.find(({ id }) => id === photoId);
  for (let one = job ?? photo?.current; one !== undefined; ) {
    const known = applied.value.get(one.id);
    if (known !== undefined) return known;
    const { parent_id: parent } = one;
    one = photo?.versions.find(({ id }) => id === parent);
  }
  return NOTHING;
}

function startsWith(strokes, first) {
  const isSame = (one, index) =>
    one === strokes[index] || JSON.stringify(one) === JSON.stringify(strokes[index]);
  return first.length <= strokes.length && first.every(isSame);
}

function change(photo, strokes) {
  const { now, former } = stepsOf(photo);
  put(photo, strokes, { former: [...former, now], later: [] });
}

/** Return the steps of a photo; none are left once another version with other strokes is shown. */
function stepsOf(photo) {
  const now = strokesOf(photo);
  const known = steps.value.get(photo.id);
  return known?.now === now ? known : { now, former: [], later: [] };
}

function put(photo, strokes, { former, later }) {
  const included = appliedTo(photo).strokes;
  const isSame = strokes.length === included.length && startsWith(strokes, included);
  const now = isSame ? included : strokes;
  steps.value = new Map(steps.value).set(photo.id, { now, former, later });
  const known = new Map(drawn.value);
  if (isSame) known.delete(photo.id);
  else known.set(photo.id, now);
  keep(drawn, STROKES, known);
}

function stored(name) {
  return signal(new Map(readStored("sessionStorage", name) ?? []));
}

function keep(kept, name, known) {
  kept.value = known;
  store("sessionStorage", name, [...known]);
}
