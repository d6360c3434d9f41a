/** Photos that the service does not have yet: waiting, on their way, or refused. */

import { signal } from "@preact/signals";
import { newId } from "../service/ids.js";
import { submit } from "../service/uploads.js";
import { put } from "./jobs.js";

/** How many are sent at a time; the others wait, so that the first are done first. */
const AT_A_TIME = 2;

/**
 * `[{id, file, fields, state: "waiting"|"sending"|"stopped", done: 0 to 1, error}]`, the newest
 * first. id: becomes the photo's, and makes repeated attempts one. fields: of the recipe.
 */
export const pending = signal([]);

const stops = new Map();

/** Send files, with fields of a recipe (`{background: "auto", …}`). */
export function add(files, fields) {
  const added = Array.from(files, (file) => {
    return { id: newId(), file, fields, state: "waiting", done: 0, error: null };
  });
  pending.value = [...added.reverse(), ...pending.value];
  send();
}

/** Try one again that was refused or stopped. */
export function again(id) {
  change(id, { state: "waiting", done: 0, error: null });
  send();
}

/** Give one up. */
export function drop(id) {
  stops.get(id)?.abort();
  pending.value = pending.value.filter((photo) => photo.id !== id);
  send();
}

async function send() {
  const sending = pending.value.filter((photo) => photo.state === "sending").length;
  const next = pending.value.findLast((photo) => photo.state === "waiting");
  if (sending >= AT_A_TIME || next === undefined) return;
  const stop = new AbortController();
  stops.set(next.id, stop);
  change(next.id, { state: "sending" });
  send();
  try {
    const job = await submit(form(next), {
      idempotencyKey: next.id,
      onProgress: (done) => change(next.id, { done }),
      signal: stop.signal,
    });
    put(job);
    drop(next.id);
  } catch (error) {
    if (error.name !== "AbortError") change(next.id, { state: "stopped", error });
  } finally {
    stops.delete(next.id);
    send();
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

function change(id, told) {
  pending.value = pending.value.map((photo) => (photo.id === id ? { ...photo, ...told } : photo));
}
