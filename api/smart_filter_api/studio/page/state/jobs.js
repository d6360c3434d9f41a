/**
 * The jobs that the page knows, as the service last told them.
 *
 * A browser opens six connections to a server, so three jobs at most are followed by events of
 * their own; the others are asked for together, in one list.
 */

import { computed, signal } from "@preact/signals";
import { ask, call } from "../service/api.js";
import { follow } from "../service/events.js";
import { isPassing } from "../service/problems.js";

const FOLLOWED = 3;
const LISTED_EVERY_MS = 2000;
const FINAL = new Set(["succeeded", "failed", "canceled"]);
const PAGE = 60;

/** Jobs by id. */
export const jobs = signal(new Map());
/** Whether older ones can be had by `loadOlder`. */
export const hasOlder = signal(false);
/** Whether the first page has been read. */
export const isLoaded = signal(false);

const unfinished = computed(() => [...jobs.value.values()].filter((job) => !isFinal(job)));
const following = new Map();
let cursor = null;
let timer = null;

/** Whether nothing more happens to a job. */
export function isFinal(job) {
  return FINAL.has(job.state);
}

/** Know a job, or what is new of it; it is followed to its end. */
export function put(...told) {
  const known = new Map(jobs.value);
  for (const job of told) known.set(job.id, job);
  jobs.value = known;
  attend();
}

/** Forget jobs here. */
export function forget(...ids) {
  const known = new Map(jobs.value);
  for (const id of ids) known.delete(id);
  jobs.value = known;
  attend();
}

/** Forget all of it, as when somebody signs out. */
export function forgetAll() {
  cursor = null;
  hasOlder.value = false;
  isLoaded.value = false;
  jobs.value = new Map();
  attend();
}

/** Read the newest jobs, or those behind the last that were read. Throws Problem or Away. */
export async function loadOlder() {
  const query = new URLSearchParams({ limit: PAGE });
  if (cursor !== null) query.set("cursor", cursor);
  const page = await ask("GET", `/v1/jobs?${query}`);
  cursor = page.next_cursor;
  hasOlder.value = cursor !== null;
  isLoaded.value = true;
  put(...page.items.filter((job) => !jobs.value.has(job.id)));
}

/** Read the newest jobs again, and follow anew what has not ended. Throws Problem or Away. */
export async function refresh() {
  const page = await ask("GET", `/v1/jobs?limit=${PAGE}`);
  for (const stop of following.values()) stop();
  following.clear();
  put(...page.items);
}

/** Return a job, asked for when it is not known. Throws Problem or Away. */
export async function find(id) {
  const known = jobs.value.get(id);
  if (known !== undefined) return known;
  const job = await ask("GET", `/v1/jobs/${id}`);
  put(job);
  return job;
}

/** Cancel a job. Throws Problem or Away. */
export async function cancel(id) {
  put(await ask("POST", `/v1/jobs/${id}/cancel`));
}

/** Let a failed job go on from what has succeeded. Throws Problem or Away. */
export async function redrive(id) {
  put(await ask("POST", `/v1/jobs/${id}/redrive`));
}

/** Delete jobs, here and on the service; those that fail to be stay. Throws the first failure. */
export async function remove(...ids) {
  for (const id of ids) {
    try {
      await call("DELETE", `/v1/jobs/${id}`);
    } catch (error) {
      if (![404, 410].includes(error.status)) throw error;
    }
    forget(id);
  }
}

/** Return a promise of a job that has ended. */
export function ended(id) {
  return new Promise((resolve) => {
    let stop = () => {};
    stop = jobs.subscribe((known) => {
      const job = known.get(id);
      if (job !== undefined && !isFinal(job)) return;
      resolve(job);
      // The first call comes before there is anything to stop.
      queueMicrotask(() => stop());
    });
  });
}

/** Follow what has not ended: the furthest by events, the rest by a list now and then. */
function attend() {
  const open = new Map(unfinished.value.map((job) => [job.id, job]));
  for (const [id, stop] of following) {
    if (!open.has(id)) {
      stop();
      following.delete(id);
    }
  }
  const next = [...open.values()].sort(isSooner);
  for (const job of next) {
    if (following.size >= FOLLOWED) break;
    if (!following.has(job.id)) following.set(job.id, follow(job.links.events, hear(job.id)));
  }
  const isListing = next.some((job) => !following.has(job.id));
  if (isListing && timer === null) timer = setTimeout(list, LISTED_EVERY_MS);
}

function hear(id) {
  return {
    onJob: put,
    onLost: () => {
      following.get(id)?.();
      // It stays in the map, so that it is asked for by lists until it has ended.
      following.set(id, () => {});
      if (timer === null) timer = setTimeout(list, LISTED_EVERY_MS);
    },
  };
}

/** Ask for all that has not ended, one by one only where the list does not reach. */
async function list() {
  timer = null;
  const ids = new Set(unfinished.value.map((job) => job.id));
  if (ids.size === 0) return;
  try {
    const page = await ask("GET", `/v1/jobs?limit=200`);
    const told = page.items.filter((job) => ids.has(job.id));
    for (const job of told) ids.delete(job.id);
    for (const id of [...ids].slice(0, FOLLOWED)) told.push(await refreshed(id));
    put(...told.filter((job) => job !== null));
  } catch (error) {
    // Of anything else somebody is told where it is asked for.
    if (!isPassing(error)) return;
  }
  if (timer === null && unfinished.value.length > 0) timer = setTimeout(list, LISTED_EVERY_MS);
}

async function refreshed(id) {
  try {
    return await ask("GET", `/v1/jobs/${id}`);
  } catch (error) {
    if (isPassing(error)) throw error;
    forget(id);
    return null;
  }
}

function isSooner(one, other) {
  return (
    Number(other.state === "running") - Number(one.state === "running") ||
    one.created_at.localeCompare(other.created_at)
  );
}
