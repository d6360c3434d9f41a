/**
 * One action on many photos: few requests at a time, with waits, a stop, and a list of failures.
 *
 * Only one such action runs at a time. It goes on while other screens are open.
 */

import { signal } from "@preact/signals";
import { reachable } from "../service/api.js";
import { Away, isPassing } from "../service/problems.js";

const AT_A_TIME = 4;
const USUAL_PAUSE_MS = 5000;
// A longer wait, as for tomorrow's quota, is a failure: the page would have to stay open.
const MOST_PAUSE_MS = 120_000;
const MOST_ATTEMPTS = 8;

/**
 * The action in progress or its result, else null: `{title, total, done, failures: [{entry, error}],
 * isOver, isStopped}`.
 */
export const bulk = signal(null);

let stop = null;
/** Moment (ms) before which no request is sent, because the service asked for a pause. */
let pausedUntil = 0;

addEventListener("beforeunload", (event) => {
  if (bulk.value !== null && !bulk.value.isOver) event.preventDefault();
});

/** Return whether an action is in progress. */
export function isBusy() {
  return bulk.value !== null && !bulk.value.isOver;
}

/**
 * Act on entries; return a promise of `{done, failures, isStopped}`.
 *
 * begin: sends an entry's requests, and is called again after a passing failure; returns a value.
 * finish: gets the value, and waits for its result without holding back other entries. undo: gets the
 * value of an entry that was begun and not finished when the user stops. All get the entry and
 * `{signal}`. whole: called once at the end, before the result is shown. again: starts the same
 * action on other entries.
 */
export async function act(entries, { title, begin, finish, undo, whole, again }) {
  stop = new AbortController();
  const { signal: aborted } = stop;
  bulk.value = { title, total: entries.length, done: 0, failures: [], again, isOver: false, isStopped: false };
  const left = [...entries];
  const waiting = [];
  const one = async (entry) => {
    let value;
    let isBegun = false;
    const fail = (error) => {
      if (aborted.aborted) {
        if (isBegun) undo?.(value);
      } else change(({ failures }) => ({ failures: [...failures, { entry, error }] }));
    };
    try {
      value = await patiently(() => begin(entry, { signal: aborted }), aborted);
      isBegun = true;
    } catch (error) {
      fail(error);
      return;
    }
    const ending = untilStopped(Promise.resolve(finish?.(value, entry, { signal: aborted })), aborted);
    waiting.push(ending.then(() => change(({ done }) => ({ done: done + 1 })), fail));
  };
  const lane = async () => {
    while (left.length > 0 && !aborted.aborted) await one(left.shift());
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
  await Promise.all(waiting);
  try {
    if (!aborted.aborted) await whole?.();
  } catch (error) {
    change(({ failures }) => ({ failures: [...failures, { entry: null, error }] }));
  }
  change(() => ({ isOver: true, isStopped: aborted.aborted }));
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

function change(changed) {
  // A dismissed action has no result.
  if (bulk.value !== null) bulk.value = { ...bulk.value, ...changed(bulk.value) };
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

function pause(ms, aborted) {
  if (ms <= 0) return undefined;
  return untilStopped(new Promise((resolve) => setTimeout(resolve, ms)), aborted);
}

/** Return a promise that is rejected as soon as the action is stopped. */
function untilStopped(promise, aborted) {
  return new Promise((resolve, reject) => {
    const end = () => reject(new DOMException("The action was stopped.", "AbortError"));
    if (aborted.aborted) end();
    aborted.addEventListener("abort", end, { once: true });
    promise.then(resolve, reject).finally(() => aborted.removeEventListener("abort", end));
  });
}
