/** Albums of the service: ranked batches of photos. */

import { signal } from "@preact/signals";
import { ask, call } from "../service/api.js";
import { find, forget, jobs, put, remove } from "./jobs.js";
import { photoIdOf } from "./photos.js";

const PAGE = 20;
const LISTED = 200;
const AGAIN_MS = 3000;

/**
 * Albums by id; albums from the list have no `items`.
 *
 * areJobsRead: whether their jobs, and those derived from them, have been read.
 */
export const albums = signal(new Map());
/** `{isRead, cursor}`: position in the list. */
export const reading = signal({ isRead: false, cursor: null });

/** Store albums, or updates of them. */
export function putAlbum(...received) {
  const known = new Map(albums.value);
  for (const album of received) known.set(album.id, { ...known.get(album.id), ...album });
  albums.value = known;
}

/** Forget all albums, as at sign-out. */
export function forgetAlbums() {
  albums.value = new Map();
  reading.value = { isRead: false, cursor: null };
}

/** Read the newest albums. Throws Problem or Away. */
export async function readNewest() {
  const page = await listed(null);
  // Remove albums that another tab has deleted; albums older than this page may still exist.
  const oldest = page.next_cursor === null ? "" : page.items.at(-1).id;
  const known = new Map([...albums.value].filter(([id]) => id < oldest));
  for (const album of page.items) known.set(album.id, { ...albums.value.get(album.id), ...album });
  albums.value = known;
  if (!reading.value.isRead) reading.value = { isRead: true, cursor: page.next_cursor };
}

/** Read the next older albums. Throws Problem or Away. */
export async function readOlder() {
  const page = await listed(reading.value.cursor);
  putAlbum(...page.items);
  reading.value = { isRead: true, cursor: page.next_cursor };
}

/** Read an album with its items. Throws Problem or Away. */
export async function readAlbum(id) {
  putAlbum(await ask("GET", `/v1/batches/${id}`));
}

/**
 * Read an album again whenever one of its jobs ends; return a function that stops that.
 *
 * onError: called with errors meanwhile.
 */
export function followAlbum(album, onError) {
  let timer = 0;
  let isOn = true;
  const look = async () => {
    clearTimeout(timer);
    try {
      await readAlbum(album.id);
    } catch (error) {
      onError(error);
    }
    // Also poll: a proxy may hold the stream back, or the browser may not reopen it.
    if (isOn) timer = setTimeout(look, AGAIN_MS);
  };
  const source = new EventSource(album.links.events);
  for (const type of ["batch.progress", "batch.finished"]) source.addEventListener(type, look);
  timer = setTimeout(look, AGAIN_MS);
  return () => {
    isOn = false;
    clearTimeout(timer);
    source.close();
  };
}

/** Read the jobs of an album, and those derived from them. Throws Problem or Away. */
export async function readJobs(album) {
  const first = album.items.find((item) => item.job_id !== null && !item.deleted);
  const { album: mark } = first === undefined ? {} : (await find(first.job_id)).metadata;
  // Jobs of the studio, and those derived from them, have a mark; others have only the batch.
  await readPages(mark === undefined ? { batch_id: album.id } : { "metadata.album": mark });
  putAlbum({ id: album.id, areJobsRead: true });
}

/** Cancel the unfinished jobs of an album. Throws Problem or Away. */
export async function cancelAlbum(id) {
  putAlbum(await ask("POST", `/v1/batches/${id}/cancel`));
  await readJobs(albums.value.get(id));
}

/** Delete an album and all its jobs, here and on the service. Throws as `call` does. */
export async function deleteAlbum(album) {
  // The sheet keeps only outlines of photos that are far.
  await readJobs(album);
  const own = new Set([...album.items.map((item) => item.job_id), album.take?.job_id]);
  const photoIds = new Set([...own].map((id) => jobs.value.get(id)).filter(Boolean).map(photoIdOf));
  const derived = [...jobs.value.values()].filter(
    (job) => !own.has(job.id) && photoIds.has(photoIdOf(job)),
  );
  try {
    await call("DELETE", `/v1/batches/${album.id}`);
  } catch (error) {
    if (![404, 410].includes(error.status)) throw error;
  }
  await remove(...derived.map((job) => job.id));
  forget(...own);
  albums.value = new Map([...albums.value].filter(([id]) => id !== album.id));
}

async function listed(cursor) {
  const query = new URLSearchParams({ limit: PAGE });
  if (cursor !== null) query.set("cursor", cursor);
  return ask("GET", `/v1/batches?${query}`);
}

async function readPages(filter) {
  let cursor = null;
  do {
    const query = new URLSearchParams({ ...filter, limit: LISTED });
    if (cursor !== null) query.set("cursor", cursor);
    const page = await ask("GET", `/v1/jobs?${query}`);
    put(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
}
