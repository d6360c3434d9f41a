/** Jobs of the page in their latest known state; state/following.js updates them. */

import { signal } from "@preact/signals";
import { ask, call } from "../service/api.js";

const FINAL = new Set(["succeeded", "failed", "canceled"]);
/** Errors that a retry cannot fix. */
const FOREVER = new Set([
  "image_unreadable", "image_too_large", "inputs_expired", "no_mask", "photo_too_small", "document_refused",
]);
// More cards at once would block the page for more than 100 ms.
const PAGE = 40;

/** Jobs by id. */
export const jobs = signal(new Map());
/** Whether `loadOlder` can read older jobs. */
export const hasOlder = signal(false);
/** Whether the first page has been read. */
export const isLoaded = signal(false);

let cursor = null;
let visits = 0;
/** Jobs deleted here: a list that was requested before may still include them. */
const deleted = new Set();

/** Return whether a job is finished. */
export function isFinal(job) {
  return FINAL.has(job.state);
}

/** Return whether a failed job may succeed when it is tried again. */
export function mayGoOn(error) {
  return !FOREVER.has(error.code);
}

/** Return whether the results of a job have expired. */
export function hasExpired(job) {
  return job.expires_at !== null && Date.parse(job.expires_at) <= Date.now();
}

/** Store jobs, or updates of them; unfinished ones are followed. */
export function put(...received) {
  const news = received.filter((job) => !deleted.has(job.id));
  if (news.length === 0) return;
  const known = new Map(jobs.value);
  for (const job of news) known.set(job.id, job);
  jobs.value = known;
}

/** Forget jobs here. */
export function forget(...ids) {
  const known = new Map(jobs.value);
  for (const id of ids) known.delete(id);
  jobs.value = known;
}

/** Forget all jobs, as at sign-out. */
export function forgetAll() {
  visits += 1;
  cursor = null;
  hasOlder.value = false;
  isLoaded.value = false;
  jobs.value = new Map();
}

/** Return a function that tells whether the session is still the same since this call. */
export function sameVisit() {
  const asked = visits;
  return () => asked === visits;
}

/** Read the newest jobs, or the page after the last one read. Throws Problem or Away. */
export async function loadOlder() {
  const isSame = sameVisit();
  const query = new URLSearchParams({ limit: PAGE, album_shots: false });
  if (cursor !== null) query.set("cursor", cursor);
  const page = await ask("GET", `/v1/jobs?${query}`);
  if (!isSame()) return;
  cursor = page.next_cursor;
  hasOlder.value = cursor !== null;
  isLoaded.value = true;
  put(...page.items.filter((job) => !jobs.value.has(job.id)));
}

/** Read the jobs from the newest on again, as when some have come back. */
export function loadAgain() {
  cursor = null;
  return loadOlder();
}

/** Return a job, read from the service if unknown. Throws Problem or Away. */
export async function find(id) {
  const known = jobs.value.get(id);
  if (known !== undefined) return known;
  const isSame = sameVisit();
  const job = await ask("GET", `/v1/jobs/${id}`);
  if (isSame()) put(job);
  return job;
}

/** Cancel a job. Throws Problem or Away. */
export async function cancel(id) {
  put(await ask("POST", `/v1/jobs/${id}/cancel`));
}

/** Redrive a failed job. Throws Problem or Away. */
export async function redrive(id) {
  put(await ask("POST", `/v1/jobs/${id}/redrive`));
}

/**
 * Delete jobs, here and on the service. They are removed here at once, and restored when the
 * deletion fails. Throws the first failure.
 */
export async function remove(...ids) {
  for (const id of ids) {
    const job = jobs.value.get(id);
    deleted.add(id);
    forget(id);
    try {
      await call("DELETE", `/v1/jobs/${id}`);
    } catch (error) {
      if ([404, 410].includes(error.status)) continue;
      deleted.delete(id);
      if (job !== undefined) put(job);
      throw error;
    }
  }
}

/** Hide jobs that are being deleted, all at once, so that no other one of them is followed meanwhile. */
export function hide(hidden) {
  for (const { id } of hidden) deleted.add(id);
  forget(...hidden.map(({ id }) => id));
}

/** Show jobs again that were hidden. */
export function unhide(hidden) {
  for (const { id } of hidden) deleted.delete(id);
  put(...hidden.filter(({ isOutline }) => !isOutline));
  // Outlines are shown again.
  jobs.value = new Map(jobs.value);
}

/** Return whether a job was deleted here. */
export function isDeleted(id) {
  return deleted.has(id);
}

/** Return a promise of a job once it is finished. */
export function ended(id) {
  return new Promise((resolve) => {
    let stop = () => {};
    stop = jobs.subscribe((known) => {
      const job = known.get(id);
      if (job !== undefined && !isFinal(job)) return;
      resolve(job);
      // The first call comes before `stop` is assigned.
      queueMicrotask(() => stop());
    });
  });
}
