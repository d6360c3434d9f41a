/**
 * Photos that the service has not accepted yet, stored in IndexedDB across reloads.
 *
 * Each is `{id, tenant, file, fields, addedAt: ms}`, and for an album also `album` and `upload`
 * (state/album-drafts.js). Where a browser stores nothing (some do not in private windows), reading
 * returns nothing and writing returns false.
 */

import { openChannel } from "./stored.js";

const STORE = "photos";
// Each tenant's own background picture, by the tenant's name.
const PICTURES = "pictures";
// Time for other tabs to answer with the photos that they are sending.
const ANSWER_MS = 250;
const channel = openChannel("smart-filter.drafts");

let opening = null;

/** Store a photo; return whether it worked. */
export async function keep(draft) {
  return (await change((store) => store.put(draft))) !== null;
}

/** Delete stored photos. */
export async function discard(...ids) {
  await change((store) => {
    for (const id of ids) store.delete(id);
  });
}

/** Store a tenant's own background picture, in place of the former one. */
export async function keepPicture(tenant, file) {
  await change((store) => store.put(file, tenant), PICTURES);
}

/** Return a tenant's own background picture, or null. */
export async function keptPicture(tenant) {
  const database = await opened();
  if (database === null) return null;
  try {
    return (await resultOf(database.transaction(PICTURES).objectStore(PICTURES).get(tenant))) ?? null;
  } catch {
    return null;
  }
}

/** Return a tenant's stored photos that no other tab is sending, in the order they were added. */
export async function abandoned(tenant) {
  const database = await opened();
  if (database === null) return [];
  const [kept, elsewhere] = await Promise.all([
    all(database).catch(() => []),
    heldElsewhere(),
  ]);
  return kept
    .filter((draft) => draft.tenant === tenant && !elsewhere.has(draft.id))
    .sort((a, b) => a.addedAt - b.addedAt);
}

/** Answer other tabs with the photos of this one. held: returns their ids. */
export function answerOthers(held) {
  channel.addEventListener("message", ({ data }) => {
    if (data.asking) channel.postMessage({ answering: data.asking, ids: held() });
  });
}

function heldElsewhere() {
  const asking = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const found = new Set();
  const hear = ({ data }) => {
    if (data.answering === asking) for (const id of data.ids) found.add(id);
  };
  channel.addEventListener("message", hear);
  channel.postMessage({ asking });
  return new Promise((resolve) => {
    setTimeout(() => {
      channel.removeEventListener("message", hear);
      resolve(found);
    }, ANSWER_MS);
  });
}

/** Return true when a change has been written, null when it failed. */
async function change(make, name = STORE) {
  const database = await opened();
  if (database === null) return null;
  return new Promise((resolve) => {
    try {
      const transaction = database.transaction(name, "readwrite");
      transaction.addEventListener("complete", () => resolve(true));
      transaction.addEventListener("abort", () => resolve(null));
      make(transaction.objectStore(name));
    } catch {
      resolve(null);
    }
  });
}

function opened() {
  opening ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open("smart-filter", 1);
      request.addEventListener("upgradeneeded", () => {
        request.result.createObjectStore(STORE, { keyPath: "id" });
        request.result.createObjectStore(PICTURES);
      });
      request.addEventListener("success", () => resolve(request.result));
      request.addEventListener("error", () => resolve(null));
    } catch {
      resolve(null);
    }
  });
  return opening;
}

async function all(database) {
  return resultOf(database.transaction(STORE).objectStore(STORE).getAll());
}

function resultOf(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}
