/**
 * Which photo a job belongs to.
 *
 * Any client with the submit scope could write another photo's id into `metadata.studio`, and take
 * its place. So a mark counts only if it has the shape of the studio's own, and only for the first
 * job that bears it and the jobs derived from that one.
 */

const OF_STUDIO = /^[0-9a-f]{32}$/;
const OF_JOB = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Return the photos' ids by their jobs' ids. all: the jobs that are known. */
export function photoIds(all) {
  const known = new Map(all.map((job) => [job.id, job]));
  const firsts = new Map();
  for (const job of all) {
    const mark = markOf(job);
    // Ids start with the time.
    if (job.parent_id === null && !(firsts.get(mark)?.id < job.id)) firsts.set(mark, job);
  }
  const idOf = (job) => {
    const root = rootOf(job, known);
    const mark = markOf(root);
    // The ancestors may be unread or deleted: only the mark is left.
    if (root.parent_id !== null) return mark;
    return firsts.get(mark) === root ? mark : root.id;
  };
  return new Map(all.map((job) => [job.id, idOf(job)]));
}

/** Return a job's oldest known ancestor, or itself. */
function rootOf(job, known) {
  let root = job;
  while (markOf(root) !== root.id && known.has(root.parent_id)) root = known.get(root.parent_id);
  return root;
}

/** Return a job's mark, or its own id if the mark is missing or invalid. */
function markOf({ id, parent_id: parent, metadata: { studio = "" } }) {
  const isOwn = OF_STUDIO.test(studio) || (parent !== null && OF_JOB.test(studio));
  return isOwn ? studio : id;
}
