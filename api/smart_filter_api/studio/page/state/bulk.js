/**
 * One action on many photos: its progress, a stop, and a list of failures.
 *
 * Only one such action runs at a time. It goes on while other screens are open.
 */

import { signal } from "@preact/signals";
import { reachable } from "../service/api.js";
import { Away, isPassing } from "../service/problems.js";

const USUAL_PAUSE_MS = 5000;
// A longer wait, as for tomorrow's quota, is a failure: the page would have to stay open.
const MOST_PAUSE_MS = 120_000;
const MOST_ATTEMPTS = 8;

/**
 * The action in progress or its result, else null: `{title, noun, total, done, failures: [{id, name,
 * error}], isOver, isStopped, again, undo}`.
 *
 * id: of the job, null for a failure of the whole action. again: starts the same action on failures.
 * undo: reverts it.
 */
export const bulk = signal(null);

let stop = null;
/** Moment (ms) before which no request is sent, because the service asked for a pause. */
let pausedUntil = 0;

addEventListener("beforeunload", (event) => {
  if (isBusy()) event.preventDefault();
});
// A result is about the screen on which it was read.
addEventListener("hashchange", () => {
  if (bulk.value?.isOver) bulk.value = null;
});

/** Return whether an action is in progress. */
export function isBusy() {
  return bulk.value !== null && !bulk.value.isOver;
}

/**
 * Run an action; return a promise of its result.
 *
 * work: gets `{signal, set, fail}`: `set` changes what is shown, `fail` adds failures as the service
 * lists them. What it throws is a failure of the whole action. stopped: called when the user stops.
 */
export async function run(title, work, { again, stopped } = {}) {
  stop = new AbortController();
  const { signal: aborted } = stop;
  bulk.value = {
    ...{ title, noun: "photo", total: null, done: 0, failures: [] },
    ...{ isOver: false, isStopped: false, again, undo: null },
  };
  const fail = (news) => {
    const added = news.map(({ job_id: id, name, error }) => ({ id, name, error }));
    set({ failures: [...bulk.value.failures, ...added] });
  };
  try {
    await work({ signal: aborted, set, fail });
  } catch (error) {
    if (aborted.aborted) await stopped?.();
    else fail([{ job_id: null, name: null, error }]);
  }
  set({ isOver: true, isStopped: aborted.aborted });
  return bulk.value;
}

/** Stop the action in progress. What is done stays done. */
export function stopBulk() {
  stop?.abort();
}

/** Stop the action and forget its result. */
export function dismissBulk() {
  stopBulk();
  bulk.value = null;
}

/** Call `send` until it succeeds or fails for good. Waits as the service asks, or for its return. */
export async function patiently(send, aborted) {
  for (let attempt = 1; ; attempt += 1) {
    await pause(pausedUntil - Date.now(), aborted);
    await untilReachable(aborted);
    try {
      return await send();
    } catch (error) {
      const isAway = error instanceof Away;
      const wait = 1000 * error.retryAfterSeconds || USUAL_PAUSE_MS;
      if (!isPassing(error) || wait > MOST_PAUSE_MS || (!isAway && attempt === MOST_ATTEMPTS)) throw error;
      // The service would refuse the other requests too.
      if (!isAway) pausedUntil = Math.max(pausedUntil, Date.now() + wait);
    }
  }
}

/** Return a promise that ends after a while, and is rejected when the action is stopped. */
export function pause(ms, aborted) {
  if (ms <= 0) return undefined;
  return untilStopped(new Promise((resolve) => setTimeout(resolve, ms)), aborted);
}

function set(changed) {
  // A dismissed action has no result.
  if (bulk.value !== null) bulk.value = { ...bulk.value, ...changed };
}

function untilReachable(aborted) {
  if (reachable.value) return undefined;
  const back = new Promise((resolve) => {
    const end = reachable.subscribe((isHere) => {
      if (!isHere) return;
      resolve();
      // The first call comes before `end` is assigned.
      queueMicrotask(() => end());
    });
  });
  return untilStopped(back, aborted);
}

/** Return a promise that is rejected as soon as the action is stopped. */
function untilStopped(promise, aborted) {
  return new Promise((resolve, reject) => {
    const end = () => reject(new DOMException("The action was stopped.", "AbortError"));
    if (aborted?.aborted) end();
    aborted?.addEventListener("abort", end, { once: true });
    promise.then(resolve, reject).finally(() => aborted?.removeEventListener("abort", end));
  });
}
