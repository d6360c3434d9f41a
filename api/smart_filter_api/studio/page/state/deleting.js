/** Deletes many photos with all their jobs. */

import { ask } from "../service/api.js";
import { forget, hasOlder, jobs, put, remove } from "./jobs.js";
import { photoIds } from "./origins.js";

const LISTED = 200;
const AT_A_TIME = 4;

/** Return the ids of all jobs of photos, in lists by photo. Throws Problem or Away. */
export async function jobsOf(photos) {
  const found = [];
  for (const { id, versions } of photos) {
    const related = [...versions, ...(await ancestorsOf(versions[0]))];
    // Old versions may not be among the jobs that this page has read.
    if (hasOlder.value) related.push(...(await listed({ "metadata.studio": id })));
    // Foreign jobs with the same mark stay.
    const origins = photoIds(related);
    const own = origins.get(versions[0].id);
    found.push([...origins.keys()].filter((one) => origins.get(one) === own));
  }
  return found;
}

/** Return the same for all jobs of this tenant. Throws as `ask` does. */
export async function jobsOfAll({ signal: aborted } = {}) {
  const byPhoto = new Map();
  for (const [job, id] of photoIds(await listed({}, aborted))) {
    byPhoto.set(id, [...(byPhoto.get(id) ?? []), job]);
  }
  return [...byPhoto.values()];
}

/**
 * Delete photos, here and on the service. All are removed here at once, so that no component
 * requests them meanwhile; photos that were not deleted are restored.
 *
 * lists: of ids, by photo; deleted photos are removed from it, so that the same list can be resumed.
 * onDone: called after each photo. signal: stops after the requests in progress.
 * Throws the first failure, Problem or Away.
 */
export async function removeAll(lists, { onDone, signal: aborted }) {
  const shown = lists.flat().map((id) => jobs.value.get(id)).filter(Boolean);
  forget(...shown.map((job) => job.id));
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
  const left = new Set(lists.flat());
  put(...shown.filter((job) => left.has(job.id)));
  const failed = lanes.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** Return the ancestors of a job, as far as they still exist. */
async function ancestorsOf(job) {
  const found = [];
  try {
    for (let id = job.parent_id; id !== null; id = found.at(-1).parent_id) {
      found.push(jobs.value.get(id) ?? (await ask("GET", `/v1/jobs/${id}`)));
    }
  } catch (error) {
    if (![404, 410].includes(error.status)) throw error;
  }
  return found;
}

async function listed(wanted, aborted) {
  const found = [];
  let cursor = null;
  do {
    const query = new URLSearchParams({ ...wanted, limit: LISTED });
    if (cursor !== null) query.set("cursor", cursor);
    const page = await ask("GET", `/v1/jobs?${query}`, { signal: aborted });
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}
