/**
 * Photos that the service has not accepted yet: checked, waiting, being sent, or refused.
 *
 * They survive a reload, and continue automatically when the service is back or has room again.
 */

import { effect, signal } from "@preact/signals";
import { ask, reachable } from "../service/api.js";
import { abandoned, answerOthers, discard, keep } from "../service/drafts.js";
import { faultOf } from "../service/formats.js";
import { newIds } from "../service/ids.js";
import { Away, Problem, isPassing } from "../service/problems.js";
import { submit } from "../service/uploads.js";
import { put } from "./jobs.js";
import { forgetPreview } from "./previews.js";

/** Concurrent uploads; the others wait, so that the first photos finish first. */
const AT_A_TIME = 2;
// After this many broken attempts in a row, the user has to decide.
const MOST_BROKEN = 5;
const MOST_PAUSE_MS = 30_000;
const USUAL_PAUSE_MS = 5000;

/**
 * `[{id, file, fields, state: "looking"|"waiting"|"sending"|"refused", done: 0 to 1, until, error}]`,
 * in the order of sending. id: becomes the photo's id, and the same for all attempts. fields: of the
 * recipe. until: time (ms) of the next attempt of a waiting photo, else null; error: the reason for it, or
 * why the photo was refused.
 */
export const pending = signal([]);

const stops = new Map();
/** Tenant of the pending photos. */
let tenant = null;
let isSending = false;
let timer = 0;

answerOthers(() => pending.value.map((photo) => photo.id));
addEventListener("beforeunload", (event) => {
  if (pending.value.some((photo) => !photo.isKept && photo.state !== "refused")) {
    event.preventDefault();
  }
});

/** Send a tenant's photos, including those of an earlier visit; return a function that stops it. */
export function startSending(whose) {
  if (tenant !== whose) pending.value = [];
  tenant = whose;
  isSending = true;
  restore();
  const stopListening = effect(() => {
    if (reachable.value) send();
  });
  return () => {
    isSending = false;
    stopListening();
    for (const stop of stops.values()) stop.abort();
  };
}

/** Send files, with fields of a recipe (`{background: "auto", …}`); return their ids. */
export function add(files, fields) {
  const added = newIds(files.length).map((id, index) => {
    const { folder } = files[index];
    const named = folder ? { "metadata.folder": folder.slice(0, 256) } : {};
    return pendingOf({ id, file: files[index], fields: { ...fields, ...named } });
  });
  pending.value = [...pending.value, ...added];
  for (const [index, photo] of added.entries()) admit(photo, Date.now() + index / 1000);
  return added.map(({ id }) => id);
}

/** Have the service fetch a photo from an address; return its job. Throws Problem, Away or AbortError. */
export async function addAddress(address, fields) {
  const form = new FormData();
  const [id] = newIds(1);
  const name = new URL(address).pathname.split("/").at(-1) || address;
  for (const [field, value] of Object.entries({
    ...fields, "metadata.studio": id, "metadata.name": name.slice(0, 256), photo_url: address,
  })) form.append(field, value);
  const job = await ask("POST", "/v1/jobs", { form, headers: { "Idempotency-Key": `"${id}"` } });
  put(job);
  return job;
}

/** Retry a refused or waiting photo now. */
export function again(id) {
  change(id, { state: "waiting", done: 0, until: null, error: null, broken: 0 });
  send();
}

/** Discard photos. */
export function drop(...ids) {
  const dropped = new Set(ids);
  for (const id of ids) stops.get(id)?.abort();
  pending.value = pending.value.filter((photo) => !dropped.has(photo.id));
  discard(...ids);
  for (const id of ids) forgetPreview(id);
  send();
}

/** Check a file before it is sent, so that an unusable file is refused at once. */
async function admit(photo, addedAt) {
  const { id, file, fields } = photo;
  const error = await faultOf(file).catch(() => unreadable());
  if (error !== null) {
    change(id, { state: "refused", error });
    return;
  }
  change(id, { state: "waiting" });
  send();
  change(id, { isKept: await keep({ id, tenant, file, fields, addedAt }) });
  // It may have been accepted or discarded while it was being written.
  if (!pending.value.some((other) => other.id === id)) discard(id);
}

async function restore() {
  const whose = tenant;
  const drafts = await abandoned(whose);
  if (whose !== tenant || !isSending) return;
  const known = new Set(pending.value.map((photo) => photo.id));
  // Photos of albums are uploaded by state/album-drafts.js.
  const found = drafts.filter((draft) => !known.has(draft.id) && draft.album === undefined);
  const added = found.map((draft) => ({ ...pendingOf(draft), state: "waiting", isKept: true }));
  pending.value = [...added, ...pending.value];
  send();
}

async function send() {
  clearTimeout(timer);
  if (!isSending || !reachable.value || stops.size >= AT_A_TIME) return;
  const waiting = pending.value.filter((photo) => photo.state === "waiting");
  const now = Date.now();
  const next = waiting.find((photo) => photo.until === null || photo.until <= now);
  if (next === undefined) {
    const soonest = Math.min(...waiting.map((photo) => photo.until));
    if (waiting.length > 0) timer = setTimeout(send, soonest - now);
    return;
  }
  const stop = new AbortController();
  stops.set(next.id, stop);
  change(next.id, { state: "sending", done: 0, until: null, error: null });
  send();
  try {
    const job = await submit(form(next), {
      idempotencyKey: next.id,
      onProgress: (done) => change(next.id, { done }),
      signal: stop.signal,
    });
    put(job);
    pending.value = pending.value.filter((photo) => photo.id !== next.id);
    discard(next.id);
  } catch (error) {
    settle(next, error);
  } finally {
    stops.delete(next.id);
    send();
  }
}

/** Decide the next state of a photo after a failed attempt. */
function settle({ id, broken }, error) {
  const wait = (pause, why) =>
    change(id, { state: "waiting", done: 0, until: pause && Date.now() + pause, error: why });
  // Stopped, as at the end of a session; discarded photos are not in the list any more.
  if (error.name === "AbortError" || error.status === 401) {
    wait(null, null);
  } else if (error instanceof Away) {
    change(id, { broken: broken + 1 });
    if (broken + 1 < MOST_BROKEN) wait(Math.min(1000 * 2 ** broken, MOST_PAUSE_MS), error);
    else change(id, { state: "refused", done: 0, error: brokenAgain() });
  } else if (error.code === "job_deleted") {
    // An earlier attempt was accepted, and another tab has deleted the photo.
    drop(id);
  } else if (["csrf", "idempotency_in_progress"].includes(error.code)) {
    wait(USUAL_PAUSE_MS, null);
  } else if (isPassing(error)) {
    const until = Date.now() + (1000 * error.retryAfterSeconds || USUAL_PAUSE_MS);
    change(id, { state: "waiting", done: 0, until, error });
    // The service would refuse the others too, after their upload.
    for (const other of pending.value) {
      if (other.state === "waiting" && other.until === null) change(other.id, { until, error });
    }
  } else {
    change(id, { state: "refused", done: 0, error });
  }
}

function form(photo) {
  const made = new FormData();
  for (const [name, value] of Object.entries(photo.fields)) made.append(name, value);
  made.append("metadata.studio", photo.id);
  made.append("metadata.name", photo.file.name.slice(0, 256));
  made.append("photo", photo.file);
  return made;
}

function pendingOf({ id, file, fields }) {
  const nothing = { done: 0, until: null, error: null, broken: 0, isKept: false };
  return { id, file, fields, state: "looking", ...nothing };
}

function change(id, changed) {
  pending.value = pending.value.map((photo) => (photo.id === id ? { ...photo, ...changed } : photo));
}

function unreadable() {
  return new Problem({
    status: 0,
    code: "unreadable",
    title: "The file cannot be read",
    detail: "It may have been moved or changed meanwhile.",
    remedy: "Remove it here, and add it again.",
  });
}

function brokenAgain() {
  return new Problem({
    status: 0,
    code: "away",
    title: "The connection broke repeatedly",
    detail: "The photo could not be sent completely.",
    remedy: "Try again, or remove it here and add it again.",
  });
}
