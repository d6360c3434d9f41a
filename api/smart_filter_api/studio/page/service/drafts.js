/**
 * Photos that the service has not accepted yet, kept by the browser (IndexedDB) over a reload.
 *
 * What is kept of each: `{id, tenant, file, fields, addedAt: ms}`, of one that is to go into an
 * album also `album` and `upload` (state/album-drafts.js). Where a browser keeps nothing
 * (some do not in private windows), reading finds nothing and keeping answers false.
 */

const STORE = "photos";
// How long other tabs have to say what they are sending themselves.
const ANSWER_MS = 250;
const channel = new BroadcastChannel("smart-filter.drafts");

let opening = null;

/** Keep a photo; return whether that worked. */
export async function keep(draft) {
  return (await change((store) => store.put(draft))) !== null;
}

/** Keep photos no more. */
export async function discard(...ids) {
  await change((store) => {
    for (const id of ids) store.delete(id);
  });
}

/** Return what is kept of a tenant and no other tab is sending, in the order it was added. */
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

/** Tell other tabs that ask which photos this one holds. held: returns their ids. */
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

/** Return true when a change has been written, null when it could not be. */
async function change(make) {
  const database = await opened();
  if (database === null) return null;
  return new Promise((resolve) => {
    try {
      const transaction = database.transaction(STORE, "readwrite");
      transaction.addEventListener("complete", () => resolve(true));
      transaction.addEventListener("abort", () => resolve(null));
      make(transaction.objectStore(STORE));
    } catch {
      resolve(null);
    }
  });
}

function opened() {
  opening ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open("smart-filter", 1);
      request.addEventListener("upgradeneeded", () =>
        request.result.createObjectStore(STORE, { keyPath: "id" }),
      );
      request.addEventListener("success", () => resolve(request.result));
      request.addEventListener("error", () => resolve(null));
    } catch {
      resolve(null);
    }
  });
  return opening;
}

async function all(database) {
  const request = database.transaction(STORE).objectStore(STORE).getAll();
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}
