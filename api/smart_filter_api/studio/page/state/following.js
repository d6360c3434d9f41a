/**
 * Hears what happens to the jobs that have not ended, and of jobs that came another way.
 *
 * A browser opens six connections to a server, for all its tabs together, and uploads, pictures
 * and questions need some. So the two jobs that matter first are followed by events of their own,
 * in the tab that is looked at; all others are asked for together, in lists.
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
// An answer of 500 jobs is two megabytes: the more there are, the less often they are asked for.
const PER_JOB_MS = 10;
const LISTED = 200;

const unfinished = computed(() => [...jobs.value.values()].filter((job) => !isFinal(job)));
const streams = new Map();
/** Jobs whose stream the service or a proxy has refused: lists alone tell of them. */
const refused = new Set();
let timer = 0;
let isOn = false;
/** The newest job that was ever known, be it deleted since: what is newer came another way. */
let newest = null;

/** Begin to hear of jobs; return a function that ends it. */
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

/** Keep streams of the jobs that matter first, and of no others. */
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
    // Whether the service is there at all is known from what answers a question.
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

/** Ask what is new, and again after a while. */
async function look() {
  // Whoever is away is asked again when they are back.
  if (!isOn || !reachable.value || !isLoaded.value) return;
  const isSame = sameVisit();
  const before = jobs.value;
  const open = unfinished.value;
  try {
    const told = [...(await newcomers()), ...(await stateOf(open))];
    if (isSame()) put(...told.filter((job) => isNews(job, before.get(job.id))));
  } catch (error) {
    // Anything else is no trouble of somebody who has asked for nothing.
    if (!isPassing(error) && error.status !== 401) console.error(error);
  }
  if (!isSame()) return;
  const isBusy = unfinished.value.length > 0 && !document.hidden;
  askIn(isBusy ? ASKED_EVERY_MS + PER_JOB_MS * unfinished.value.length : QUIET_EVERY_MS);
}

/** Whether an answer tells anything; what was heard of a job since the question is newer. */
function isNews(job, asked) {
  const known = jobs.value.get(job.id);
  return known === asked && (known === undefined || JSON.stringify(job) !== JSON.stringify(known));
}

/** Remember the newest; ids begin with the time, so their order is the service's own. */
function note(known) {
  for (const job of known.values()) {
    if (newest === null || job.id > newest.id) newest = job;
  }
}

/** Return jobs that came another way: of another tab, a program, the command line. */
async function newcomers() {
  const query = newest === null ? {} : { created_after: newest.created_at };
  const told = [];
  for await (const job of listed(query, "")) told.push(job);
  return told;
}

/** Return how jobs are that had not ended; those that are in no list any more one by one. */
async function stateOf(open) {
  const missing = new Set(open.map((job) => job.id));
  const oldest = [...missing].reduce((first, id) => (first < id ? first : id), "~");
  const told = new Map();
  // In this order, what begins between the two is in both.
  for (const state of missing.size > 0 ? ["queued", "running"] : []) {
    for await (const job of listed({ state }, oldest)) {
      if (missing.has(job.id)) told.set(job.id, job);
    }
  }
  for (const id of missing) {
    // Not of one that is being deleted here, which has gone from `jobs` already.
    if (!told.has(id) && jobs.value.has(id)) told.set(id, await alone(id));
  }
  return [...told.values()].filter((job) => job !== null);
}

/** Yield the jobs of a list, the newest first, page by page to one whose id is the oldest wanted. */
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

/** Derived ones first, for somebody is waiting for a change; then what is worked on; then age. */
function byWeight(one, other) {
  return (
    Number(other.parent_id !== null) - Number(one.parent_id !== null) ||
    Number(other.state === "running") - Number(one.state === "running") ||
    (one.id < other.id ? -1 : 1)
  );
}
