/** The photos of an album, with all that the service returns about each. */

import { hasExpired, isFinal, jobs } from "../../state/jobs.js";
import { photoIdOf, photos } from "../../state/photos.js";

/**
 * Return `[{item, job, photo, name, rank, terms, better}]`, by rank, then in the album's order.
 *
 * item: of the batch; job: its own, undefined until it is read; photo: with its derived versions,
 * undefined until all are read;
 * better: the name of a better photo of the same scene, else null.
 */
export function membersOf(album) {
  const byId = new Map(photos.value.map((photo) => [photo.id, photo]));
  const members = album.items.map((item) => {
    const job = jobs.value.get(item.job_id);
    return {
      item,
      job,
      photo: album.areJobsRead && job && byId.get(photoIdOf(job)),
      name: job?.metadata.name ?? job?.photo_name ?? `Photo ${item.index + 1}`,
      rank: item.rank,
      terms: job?.rank_terms ?? null,
    };
  });
  const names = new Map(members.map(({ item, name }) => [item.job_id, name]));
  return members
    .map((member) => ({ ...member, better: nameOfBetter(member.terms, names) }))
    .sort((a, b) => (a.rank ?? Infinity) - (b.rank ?? Infinity) || a.item.index - b.item.index);
}

/** Return the address of a member's finished picture, or null. */
export function pictureOf({ photo, item }) {
  if (item.deleted || photo?.current.state !== "succeeded" || hasExpired(photo.current)) return null;
  return photo.current.outputs.image ?? null;
}

/** Return whether all pictures of an album that has ended are known. */
export function isCounted(album, members) {
  return Boolean(album.areJobsRead) && members.every(({ item, job }) => item.deleted || job === undefined || isFinal(job));
}

/** Return whether a photo has no stages left before the album's ranking. */
export function isRated({ item, job }) {
  if (["succeeded", "failed", "canceled"].includes(item.state)) return true;
  return job !== undefined && job.stages.every(({ name, state }) => name === "composite" || state === "succeeded");
}

/** Return the reasons for a photo's rank, except those that its stars show. */
export function reasonsOf({ terms, better }) {
  if (terms === null) return [];
  // The first reasons repeat the better photo's id and the rating as figures.
  const shown = (terms.better === null ? 0 : 1) + (terms.rating === null ? 0 : 1);
  const own = terms.reasons.slice(shown);
  return better === null ? own : [`Same scene as ${better}, which is better.`, ...own];
}

function nameOfBetter(terms, names) {
  if (!terms?.better) return null;
  return names.get(terms.better) ?? "another photo";
}
