/** What stands on the sheet: photos on their way and photos of the service, narrowed and by day. */

import { computed, signal } from "@preact/signals";
import { jobs } from "../../state/jobs.js";
import { pending } from "../../state/pending.js";
import { photos } from "../../state/photos.js";
import { dayInWords } from "../../words.js";
import { nameOf } from "../naming.js";

/** Ways to narrow the sheet; `shows` is asked of an entry. */
export const KINDS = [
  { value: "all", label: "All", shows: () => true },
  { value: "finished", label: "Finished", shows: ({ photo }) => photo?.current.state === "succeeded" },
  { value: "failed", label: "Failed", shows: hasFailed },
  { value: "review", label: "Needs review", shows: ({ photo }) => photo?.current.needs_review },
];

/** Which of `KINDS` is shown, and what its names have in them. */
export const kind = signal("all");
export const words = signal("");

/** The entries of photos as they were before: a card of which nothing is new is not drawn again. */
let former = new Map();

/** `[{id, sending, photo}]`, the newest first: one of the two, as state/ has it. */
const entries = computed(() => {
  const known = former;
  former = new Map();
  for (const photo of photos.value) {
    const told = photo.versions.map(({ id }) => jobs.value.get(id));
    const before = known.get(photo.id);
    former.set(photo.id, isSame(before, photo, told) ? before : { photo, told });
  }
  return [
    ...pending.value
      .filter(({ id }) => !former.has(id))
      .map((sending) => ({ id: sending.id, sending })),
    ...[...former].map(([id, { photo }]) => ({ id, photo })),
  ];
});

export const isNarrowed = computed(() => kind.value !== "all" || words.value.trim() !== "");

/** Those that are shown. */
export const narrowed = computed(() => {
  const { shows } = KINDS.find((one) => one.value === kind.value);
  const sought = words.value.trim().toLowerCase();
  return entries.value.filter(
    (entry) => shows(entry) && nameOf(entry).toLowerCase().includes(sought),
  );
});

/** Show all of them again. */
export function widen() {
  kind.value = "all";
  words.value = "";
}

/** Return `[{day, members}]` of entries. */
export function byDay(shown) {
  const days = new Map();
  for (const entry of shown) {
    const day = dayInWords(entry.photo?.versions.at(-1).created_at ?? Date.now());
    if (!days.has(day)) days.set(day, []);
    days.get(day).push(entry);
  }
  return [...days].map(([day, members]) => ({ day, members }));
}

function hasFailed({ sending, photo }) {
  return sending?.state === "refused" || photo?.current.state === "failed";
}

/** Whether a photo is shown in the same version, and its jobs tell nothing else than before. */
function isSame(before, photo, told) {
  return (
    before?.photo.current.id === photo.current.id &&
    before.told.length === told.length &&
    told.every((job, index) => job === before.told[index])
  );
}
