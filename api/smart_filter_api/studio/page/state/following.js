/**
 * Follows unfinished jobs, and finds jobs that were submitted elsewhere.
 *
 * A browser opens six connections to a server, for all its tabs together, and uploads, pictures and
 * requests need some. So only the two most important jobs are followed by event streams, in the
 * visible tab; all others are polled together, in lists.
 */

import { computed, effect } from "@preact/signals";
import { ask, reachable } from "../service/api.js";
import { follow } from "../service/events.js";
import { isPassing } from "../service/problems.js";
import { forget, isFinal, isLoaded, jobs, put, sameVisit } from "./jobs.js";

const FOLLOWED = 2;
const ASKED_EVERY_MS = 3000;
const QUIET_EVERY_MS = 15_000;
const SOON_MS = 500;
// Minimum polling interval per job: a response of 500 jobs is two megabytes.
const PER_JOB_MS = 10;
const LISTED = 200;

const unfinished = computed(() => [...jobs.value.values()].filter((job) => !isFinal(job)));
const streams = new Map();
/** Jobs whose stream the service or a proxy has refused: they are polled. */
const refused = new Set();
let timer = 0;
let isOn = false;
/** Newest known job, even if deleted since: newer jobs were submitted elsewhere. */
let newest = null;

/** Start following jobs; return a function that stops it. */
export function startFollowing() {
  isOn = true;
  newest = null;
  const stopAttending = effect(() => attend(unfinished.value, reachable.value));
  const turned = () => {
    attend(unfinished.peek(), reachable.peek());
    if (!document.hidden) askIn(0);
  };
  document.addEventListener("visibilitychange", turned);
  const stopNoting = effect(() => note(jobs.value));
  const stopComing = effect(() => {
    if (reachable.value && isLoaded.value) askIn(0);
  });
  return () => {
    isOn = false;
    stopAttending();
    stopNoting();
    stopComing();
    document.removeEventListener("visibilitychange", turned);
    clearTimeout(timer);
    attend([], false);
  };
}

/** Poll for news soon: this page has changed something on the service. */
export function lookNow() {
  askIn(SOON_MS);
}

/** Keep streams open for exactly the most important jobs. */
function attend(open, isReachable) {
  const isSeen = isReachable && !document.hidden;
  const wanted = isSeen
    ? open.filter((job) => !refused.has(job.id)).sort(byWeight).slice(0, FOLLOWED)
    : [];
  const ids = new Set(wanted.map((job) => job.id));
  for (const [id, stop] of streams) {
    if (ids.has(id)) continue;
    stop();
    streams.delete(id);
  }
  for (const job of wanted) {
    if (!streams.has(job.id)) streams.set(job.id, follow(job.links.events, hear(job.id)));
  }
}

function hear(id) {
  return {
    onJob: put,
    // Only a request can tell whether the service is reachable.
    onCut: () => askIn(SOON_MS),
    onLost: () => {
      refused.add(id);
      attend(unfinished.peek(), reachable.peek());
      askIn(SOON_MS);
    },
  };
}

function askIn(pause) {
  clearTimeout(timer);
  timer = setTimeout(look, pause);
}

/** Poll for news, and again after a while. */
async function look() {
  // While the service is unreachable, polling pauses.
  if (!isOn || !reachable.value || !isLoaded.value) return;
  const isSame = sameVisit();
  const before = jobs.value;
  const open = unfinished.value;
  try {
    const received = [...(await newcomers()), ...(await stateOf(open))];
    if (isSame()) put(...received.filter((job) => isNews(job, before.get(job.id))));
  } catch (error) {
    // Log other errors only: the user did not request anything.
    if (!isPassing(error) && error.status !== 401) console.error(error);
  }
  if (!isSame()) return;
  const isBusy = unfinished.value.length > 0 && !document.hidden;
  askIn(isBusy ? ASKED_EVERY_MS + PER_JOB_MS * unfinished.value.length : QUIET_EVERY_MS);
}

/** Return whether a response is newer than the events received since its request. */
function isNews(job, asked) {
  const known = jobs.value.get(job.id);
  return known === asked && (known === undefined || JSON.stringify(job) !== JSON.stringify(known));
}

/** Remember the newest job; ids start with the time, so they sort like the service's lists. */
function note(known) {
  for (const job of known.values()) {
    if (newest === null || job.id > newest.id) newest = job;
  }
}

/** Return jobs submitted elsewhere: in another tab, by a program, or the command line. */
async function newcomers() {
  // Photos of albums are read with their albums.
  const query = { album_shots: false, ...(newest === null ? {} : { created_after: newest.created_at }) };
  const received = [];
  for await (const job of listed(query, "")) received.push(job);
  return received;
}

/** Return the current state of unfinished jobs; those missing in the lists are read one by one. */
async function stateOf(open) {
  const missing = new Set(open.map((job) => job.id));
  const oldest = [...missing].reduce((first, id) => (first < id ? first : id), "~");
  const received = new Map();
  // In this order, a job that starts between the two requests is in both.
  for (const state of missing.size > 0 ? ["queued", "running"] : []) {
    for await (const job of listed({ state }, oldest)) {
      if (missing.has(job.id)) received.set(job.id, job);
    }
  }
  for (const id of missing) {
    // A job that is being deleted here is already missing in `jobs`.
    if (!received.has(id) && jobs.value.has(id)) received.set(id, await alone(id));
  }
  return [...received.values()].filter((job) => job !== null);
}

/** Yield the jobs of a list page by page, newest first, down to the id `oldest`. */
async function* listed(wanted, oldest) {
  let cursor = null;
  do {
    const query = new URLSearchParams({ ...wanted, limit: LISTED });
    if (cursor !== null) query.set("cursor", cursor);
    const page = await ask("GET", `/v1/jobs?${query}`);
    yield* page.items;
    cursor = (page.items.at(-1)?.id ?? "") > oldest ? page.next_cursor : null;
  } while (cursor !== null);
}

async function alone(id) {
  try {
    return await ask("GET", `/v1/jobs/${id}`);
  } catch (error) {
    if (![404, 410].includes(error.status)) throw error;
    forget(id);
    return null;
  }
}

/** Derived jobs first, because the user waits for a change; then running jobs; then by age. */
function byWeight(one, other) {
  return (
    Number(other.parent_id !== null) - Number(one.parent_id !== null) ||
    Number(other.state === "running") - Number(one.state === "running") ||
    (one.id < other.id ? -1 : 1)
  );
}
