/** Entries of the sheet: photos being sent and photos of the service, filtered and by day. */

import { computed, signal } from "@preact/signals";
import { newestFirst, timeOf } from "../../service/ids.js";
import { albums } from "../../state/albums.js";
import { jobs } from "../../state/jobs.js";
import { pending } from "../../state/pending.js";
import { allPhotos } from "../../state/outlines.js";
import { dayInWords } from "../../words.js";
import { nameOf } from "../naming.js";

/** Filters of the sheet; `shows` is called with an entry. state: the same for the service. */
export const KINDS = [
  { value: "all", label: "All", shows: () => true, state: null },
  { value: "finished", label: "Finished", shows: ({ photo }) => photo?.current.state === "succeeded", state: "succeeded" },
  { value: "failed", label: "Failed", shows: hasFailed, state: "failed" },
  { value: "review", label: "Needs review", shows: ({ photo }) => photo?.current.needs_review },
];

/** The chosen filter of `KINDS`, and the search words for names. */
export const kind = signal("all");
export const words = signal("");

/** The previous entries; a card whose entry did not change is not rendered again. */
let former = new Map();

/** `[{id, sending, photo}]`, newest first: each with `sending` or `photo`, as in state/. */
const entries = computed(() => {
  const known = former;
  former = new Map();
  for (const photo of allPhotos.value) {
    const photoJobs = photo.isOutline ? photo.versions : photo.versions.map(({ id }) => jobs.value.get(id));
    const before = known.get(photo.id);
    former.set(photo.id, isSame(before, photo, photoJobs) ? before : { photo, photoJobs });
  }
  const unsent = pending.value.filter(({ id }) => !former.has(id)).map((sending) => ({ id: sending.id, sending }));
  const sent = [...former].filter(([, { photo }]) => !isOfAlbum(photo)).map(([id, { photo }]) => ({ id, photo }));
  // The photos are in order.
  return unsent.length === 0 ? sent : newestFirst([...unsent, ...sent]);
});

export const isNarrowed = computed(() => kind.value !== "all" || words.value.trim() !== "");

/** The entries that pass the filter. */
export const narrowed = computed(() => {
  const { shows } = KINDS.find((one) => one.value === kind.value);
  const sought = words.value.trim().toLowerCase();
  return entries.value.filter(
    (entry) => shows(entry) && (sought === "" || nameOf(entry).toLowerCase().includes(sought)),
  );
});

/** Return the photos of this view as `POST /v1/choices` takes them; null if only the page knows them. */
export function wantedByView() {
  const { state } = KINDS.find((one) => one.value === kind.value);
  if (state === undefined) return null;
  return { all: true, state, name: words.value.trim() || null };
}

/** Remove the filter. */
export function widen() {
  kind.value = "all";
  words.value = "";
}

/** Return `[{day, members}]` of entries, newest first, grouped by day. */
export function byDay(shown) {
  const days = [];
  let start = Infinity;
  for (const entry of shown) {
    const moment = timeOf(entry.id);
    if (moment < start) {
      start = new Date(moment).setHours(0, 0, 0, 0);
      days.push({ day: dayInWords(moment), members: [] });
    }
    days.at(-1).members.push(entry);
  }
  return days;
}

/** Return whether a photo has no picture and is shown in its album alone. */
function isOfAlbum({ current, versions }) {
  if (current.outputs.image !== undefined) return false;
  return versions.some(({ batch_id: batch, rank, metadata }) =>
    rank !== null || (batch !== null && (metadata.album || albums.value.get(batch)?.album)));
}

function hasFailed({ sending, photo }) {
  return sending?.state === "refused" || photo?.current.state === "failed";
}

/** Return whether a photo's card would be rendered unchanged. */
function isSame(before, photo, photoJobs) {
  return (
    before?.photo.current.id === photo.current.id &&
    before.photoJobs.length === photoJobs.length &&
    photoJobs.every((job, index) => job === before.photoJobs[index])
  );
}
