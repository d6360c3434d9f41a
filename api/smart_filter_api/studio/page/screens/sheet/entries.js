/** What stands on the sheet: photos on their way and photos of the service, narrowed and by day. */

import { computed, signal } from "@preact/signals";
import { pending } from "../../state/pending.js";
import { photos } from "../../state/photos.js";
import { dayInWords } from "../../words.js";

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

/** `[{id, sending, photo}]`, the newest first: one of the two, as state/ has it. */
const entries = computed(() => {
  const accepted = new Set(photos.value.map(({ id }) => id));
  return [
    ...pending.value
      .filter(({ id }) => !accepted.has(id))
      .map((sending) => ({ id: sending.id, sending })),
    ...photos.value.map((photo) => ({ id: photo.id, photo })),
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

/** Return what an entry is called. */
export function nameOf({ sending, photo }) {
  return sending?.file.name ?? photo.current.metadata.name ?? "Photo";
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
