/**
 * Albums being uploaded: each photo is put into an upload, then all are submitted together.
 *
 * Drafts survive a reload, with the photos already uploaded, and continue automatically.
 */

import { effect, signal } from "@preact/signals";
import { ask, reachable } from "../service/api.js";
import { abandoned, answerOthers, discard, keep } from "../service/drafts.js";
import { faultOf } from "../service/formats.js";
import { newId } from "../service/ids.js";
import { Away, isPassing } from "../service/problems.js";
import { put } from "../service/uploads.js";
import { putAlbum } from "./albums.js";
import { forgetPreview } from "./previews.js";

const PAUSE_MS = 5000;
const MOST_BROKEN = 5;
// Minimum validity left of an upload: it must be valid until the last photo is uploaded.
const SPARE_MS = 5 * 60_000;
/** Maximum number of photos of an album (docs/api/batches.md). */
export const MOST_PHOTOS = 1000;

/**
 * `[{id, name, best, fields, photos, until, error}]`, newest first; photos: `[{id, file, state:
 * "looking"|"waiting"|"sending"|"sent"|"refused", done: 0 to 1, upload: {id, expiresAt}|null,
 * error}]`. until: time (ms) of the next attempt, else null; error: the reason for it, or why the
 * album was refused.
 */
export const albumDrafts = signal([]);
/** Whether the drafts of an earlier visit are loaded. */
export const areRestored = signal(false);
/** Files that an album does not include, by its id: `[{name, error}]`. */
export const leftOut = signal(new Map());

const stops = new Map();
let tenant = null;
let isSending = false;
let timer = 0;

addEventListener("beforeunload", (event) => {
  const photos = albumDrafts.value.flatMap((draft) => draft.photos);
  if (photos.some((photo) => !photo.isKept && photo.state !== "refused")) event.preventDefault();
});
answerOthers(() => albumDrafts.value.flatMap((draft) => draft.photos.map((photo) => photo.id)));

/** Upload a tenant's albums, including those of an earlier visit; return a function that stops it. */
export function startSendingAlbums(whose) {
  if (tenant !== whose) albumDrafts.value = [];
  tenant = whose;
  isSending = true;
  restore();
  const stopListening = effect(() => {
    if (reachable.value) goOn();
  });
  return () => {
    isSending = false;
    stopListening();
    clearTimeout(timer);
    for (const stop of stops.values()) stop.abort();
  };
}

/**
 * Begin an album; return its id.
 *
 * chosen: `[{id, file}]`. best: number of composed photos, with fields of a recipe.
 */
export function beginAlbum(chosen, { name, best, fields }) {
  const photos = chosen.map(({ id, file }) => photoOf({ id, file, upload: null }));
  const draft = { id: newId(), name, best, fields, photos, until: null, error: null };
  albumDrafts.value = [draft, ...albumDrafts.value];
  for (const [index, photo] of photos.entries()) admit(draft, photo, Date.now() + index / 1000);
  return draft.id;
}

/** Retry now, after a wait or a refusal. */
export function goOnNow(id) {
  changeDraft(id, { until: null, error: null });
  goOn();
}

/** Discard an album and its photos. */
export function giveUp(id) {
  const draft = find(id);
  if (draft === undefined) return;
  albumDrafts.value = albumDrafts.value.filter((other) => other !== draft);
  for (const photo of draft.photos) {
    stops.get(photo.id)?.abort();
    forgetPreview(photo.id);
  }
  discard(...draft.photos.map((photo) => photo.id));
}

async function admit(draft, { id, file }, addedAt) {
  const error = await faultOf(file).catch(() => unreadable());
  if (error !== null) {
    change(draft.id, id, { state: "refused", error });
    goOn();
    return;
  }
  change(draft.id, id, { state: "waiting", addedAt });
  goOn();
  await keepPhoto(draft.id, id);
}

async function keepPhoto(draftId, id) {
  const draft = find(draftId);
  const photo = draft?.photos.find((one) => one.id === id);
  if (photo === undefined) return;
  const { name, best, fields } = draft;
  const album = { id: draftId, name, best };
  const { file, addedAt, upload } = photo;
  change(draftId, id, { isKept: await keep({ id, tenant, file, fields, addedAt, album, upload }) });
  // It may have been discarded or submitted while it was being written.
  if (find(draftId) === undefined) discard(id);
}

async function restore() {
  const whose = tenant;
  const kept = (await abandoned(whose)).filter((draft) => draft.album !== undefined);
  if (whose !== tenant || !isSending) return;
  const known = new Set(albumDrafts.value.map((draft) => draft.id));
  const found = new Map();
  for (const { id, file, fields, album, upload, addedAt } of kept) {
    if (known.has(album.id)) continue;
    if (!found.has(album.id)) {
      found.set(album.id, { ...album, fields, photos: [], until: null, error: null });
    }
    const state = upload ? "sent" : "waiting";
    const photo = { ...photoOf({ id, file, upload }), state, addedAt, isKept: true };
    found.get(album.id).photos.push(photo);
  }
  albumDrafts.value = [...albumDrafts.value, ...found.values()];
  areRestored.value = true;
  goOn();
}

/** Do the next step: one photo at a time, then its album. */
function goOn() {
  clearTimeout(timer);
  if (!isSending || !reachable.value || stops.size > 0) return;
  const now = Date.now();
  // The oldest draft first.
  for (const draft of albumDrafts.value.toReversed()) {
    if (draft.error !== null && draft.until === null) continue;
    if (draft.until !== null && draft.until > now) {
      timer = setTimeout(goOn, draft.until - now);
      continue;
    }
    if (draft.photos.some((photo) => photo.state === "looking")) continue;
    const next = draft.photos.find((photo) => photo.state === "waiting");
    if (next !== undefined) run(draft, next.id, (stop) => sendPhoto(draft, next, stop));
    else run(draft, draft.id, (stop) => submitAlbum(draft, stop));
    return;
  }
}

async function run(draft, key, work) {
  const stop = new AbortController();
  stops.set(key, stop);
  try {
    await work(stop.signal);
    if (find(draft.id)) changeDraft(draft.id, { until: null, error: null, broken: 0 });
  } catch (error) {
    settle(draft.id, error);
  } finally {
    stops.delete(key);
    goOn();
  }
}

async function sendPhoto(draft, { id, file }, stop) {
  change(draft.id, id, { state: "sending", done: 0 });
  try {
    const upload = await ask("POST", "/v1/uploads", {
      json: { content_type: await typeOf(file), bytes: file.size },
      signal: stop,
    });
    await put(upload.upload_id, file, {
      onProgress: (done) => change(draft.id, id, { done }),
      signal: stop,
    });
    const sent = { id: upload.upload_id, expiresAt: Date.parse(upload.expires_at) };
    change(draft.id, id, { state: "sent", done: 1, upload: sent });
    keepPhoto(draft.id, id);
  } catch (error) {
    const isItsOwn = [413, 415, 422].includes(error.status);
    change(draft.id, id, isItsOwn ? { state: "refused", error } : { state: "waiting", done: 0 });
    if (!isItsOwn) throw error;
    discard(id);
  }
}

async function submitAlbum({ id, name, best, fields, photos, attempt = 0 }, stop) {
  const soon = Date.now() + SPARE_MS;
  const late = photos.filter((photo) => photo.state === "sent" && photo.upload.expiresAt < soon);
  for (const photo of late) change(id, photo.id, { state: "waiting", done: 0, upload: null });
  if (late.length > 0) return;
  const sent = photos.filter((photo) => photo.state === "sent");
  if (sent.length === 0) throw noneLeft();
  const ids = sent.map((photo) => photo.upload.id);
  const batch = await ask("POST", "/v1/batches", {
    json: {
      items: sent.map(({ id: studio, file, upload }) => ({
        upload_id: upload.id,
        metadata: { studio, name: file.name.slice(0, 256), album: id, album_name: name },
      })),
      recipe: { ...fields, outputs: fields.outputs.split(",") },
      album: { best },
    },
    // The service remembers refused keys: a retry after a refusal, or with new uploads, needs
    // another key.
    headers: { "Idempotency-Key": `"${[id, ids[0], attempt].join("-")}"` },
    signal: stop,
  });
  const refused = photos.filter((photo) => photo.state === "refused");
  leftOut.value = new Map(leftOut.value).set(
    batch.id,
    refused.map(({ file, error }) => ({ name: file.name, error })),
  );
  putAlbum(batch);
  albumDrafts.value = albumDrafts.value.filter((draft) => draft.id !== id);
  discard(...photos.map((photo) => photo.id));
  // The draft's page becomes the album's, without an entry in the browser's history.
  if (location.hash === `#/albums/${id}`) location.replace(`#/albums/${batch.id}`);
}

/** Decide the next state of an album after a failed attempt. */
function settle(id, error) {
  const draft = find(id);
  if (draft === undefined || error.name === "AbortError" || error.status === 401) return;
  const broken = (draft.broken ?? 0) + 1;
  if (error instanceof Away && broken < MOST_BROKEN) {
    changeDraft(id, { until: Date.now() + 1000 * 2 ** broken, error, broken });
  } else if (isPassing(error) && !(error instanceof Away)) {
    const until = Date.now() + (1000 * error.retryAfterSeconds || PAUSE_MS);
    changeDraft(id, { until, error });
  } else {
    const shown = error.code === "invalid_request" ? notAccepted(error) : error;
    changeDraft(id, { until: null, error: shown, broken: 0, attempt: newId() });
  }
}

/** Return a file's type by its first bytes: names and the system's types are not reliable. */
async function typeOf(file) {
  const start = new Uint8Array(await file.slice(0, 32).arrayBuffer());
  const text = String.fromCharCode(...start);
  if (text.startsWith("\xff\xd8")) return "image/jpeg";
  if (text.startsWith("\x89PNG")) return "image/png";
  if (text.startsWith("RIFF")) return "image/webp";
  if (text.startsWith("GIF8")) return "image/gif";
  if (text.startsWith("BM")) return "image/bmp";
  if (text.startsWith("II*") || text.startsWith("MM\0")) return "image/tiff";
  return text.slice(8).includes("avi") ? "image/avif" : "image/heic";
}

function photoOf({ id, file, upload }) {
  return { id, file, upload, state: "looking", done: upload ? 1 : 0, error: null, isKept: false };
}

function find(id) {
  return albumDrafts.value.find((draft) => draft.id === id);
}

function changeDraft(id, changed) {
  albumDrafts.value = albumDrafts.value.map((draft) =>
    draft.id === id ? { ...draft, ...changed } : draft,
  );
}

function change(id, photoId, changed) {
  const draft = find(id);
  if (draft === undefined) return;
  const photos = draft.photos.map((photo) => (photo.id === photoId ? { ...photo, ...changed } : photo));
  changeDraft(id, { photos });
}

function unreadable() {
  return { title: "The file cannot be read", remedy: "It may have been moved or changed meanwhile." };
}

/** Return an error for people from the service's errors of fields. */
function notAccepted({ errors }) {
  const [{ detail, pointer }] = errors;
  return {
    title: "The album was not accepted",
    detail: pointer === "/items" ? `It ${detail.replace(/^items /, "")}.` : `${detail}.`,
    remedy: "Try again later, or cancel it and create another one.",
  };
}

function noneLeft() {
  return {
    title: "This album has no usable photos",
    remedy: "Cancel it, and create another with JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF photos.",
  };
}
