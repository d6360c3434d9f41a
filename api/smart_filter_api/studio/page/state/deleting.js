/** Many photos deleted: which jobs go, and their going. */

import { ask } from "../service/api.js";
import { hasOlder, remove } from "./jobs.js";
import { photoIdOf, versionsOf } from "./photos.js";

const LISTED = 200;
const AT_A_TIME = 4;

/** Return the ids of all jobs of photos, in lists by photo. Throws Problem or Away. */
export async function jobsOf(photos) {
  const found = [];
  for (const { id, versions } of photos) {
    // What was made of a photo long ago may stand further back than this page has read.
    const all = hasOlder.value ? [...versions, ...(await versionsOf(id))] : versions;
    found.push([...new Set(all.map((job) => job.id))]);
  }
  return found;
}

/** Return the same of everything that the service has of this tenant. Throws as `ask` does. */
export async function jobsOfAll({ signal: aborted } = {}) {
  const byPhoto = new Map();
  let cursor = null;
  do {
    const query = new URLSearchParams({ limit: LISTED });
    if (cursor !== null) query.set("cursor", cursor);
    const page = await ask("GET", `/v1/jobs?${query}`, { signal: aborted });
    for (const job of page.items) {
      const id = photoIdOf(job);
      byPhoto.set(id, [...(byPhoto.get(id) ?? []), job.id]);
    }
    cursor = page.next_cursor;
  } while (cursor !== null);
  return [...byPhoto.values()];
}

/**
 * Delete photos, here and on the service; what was not reached stays.
 *
 * lists: of ids, by photo; those that are done are taken out of it, so that the same list goes on.
 * onDone: called after each photo. signal: stops it after those that are on their way.
 * Throws the first failure, Problem or Away.
 */
export async function removeAll(lists, { onDone, signal: aborted }) {
  const lane = async () => {
    while (lists.length > 0 && !aborted.aborted) {
      const ids = lists.shift();
      try {
        await remove(...ids);
      } catch (error) {
        lists.push(ids);
        throw error;
      }
      onDone();
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: AT_A_TIME }, lane));
  const failed = lanes.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
