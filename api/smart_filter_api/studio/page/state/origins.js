/**
 * Which photo a job belongs to.
 *
 * Whoever may submit may also write another photo's id into `metadata.studio`, and would stand in
 * its place. So a mark counts that has the shape of the studio's own, of the first job that bears
 * it, and of what was made of that one.
 */

const OF_STUDIO = /^[0-9a-f]{32}$/;
const OF_JOB = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Return the photos' ids by their jobs' ids. all: the jobs that are known. */
export function photoIds(all) {
  const known = new Map(all.map((job) => [job.id, job]));
  const firsts = new Map();
  for (const job of all) {
    const mark = markOf(job);
    // Ids begin with the time.
    if (job.parent_id === null && !(firsts.get(mark)?.id < job.id)) firsts.set(mark, job);
  }
  const idOf = (job) => {
    const root = rootOf(job, known);
    const mark = markOf(root);
    // What came before may not have been read yet, or be deleted: then the mark alone tells.
    if (root.parent_id !== null) return mark;
    return firsts.get(mark) === root ? mark : root.id;
  };
  return new Map(all.map((job) => [job.id, idOf(job)]));
}

/** Return what a job goes back to: a job that was made of none, or stands for itself. */
function rootOf(job, known) {
  let root = job;
  while (markOf(root) !== root.id && known.has(root.parent_id)) root = known.get(root.parent_id);
  return root;
}

/** Return what a job says that it belongs to; its own id where it says nothing that can be so. */
function markOf({ id, parent_id: parent, metadata: { studio = "" } }) {
  const isOwn = OF_STUDIO.test(studio) || (parent !== null && OF_JOB.test(studio));
  return isOwn ? studio : id;
}
