/** Selection of several photos, to delete them together. */

import { computed, signal } from "@preact/signals";

/** Ids of the selected photos; null outside selection mode. */
export const selected = signal(null);
export const isSelecting = computed(() => selected.value !== null);

/** Start selection mode. */
export function startSelecting() {
  selected.value = new Set();
}

/** End selection mode. */
export function stopSelecting() {
  selected.value = null;
}

/** Select exactly these photos. */
export function select(ids) {
  selected.value = new Set(ids);
}

/** Toggle the selection of a photo. */
export function toggle(id) {
  const next = new Set(selected.value);
  if (!next.delete(id)) next.add(id);
  selected.value = next;
}
