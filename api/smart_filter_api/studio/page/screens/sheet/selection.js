/** Several photos chosen at once, to be deleted together. */

import { computed, signal } from "@preact/signals";

/** Ids of those that are chosen; null while nobody is choosing. */
export const selected = signal(null);
export const isSelecting = computed(() => selected.value !== null);

/** Begin to choose. */
export function startSelecting() {
  selected.value = new Set();
}

/** Choose no more. */
export function stopSelecting() {
  selected.value = null;
}

/** Choose these, and no others. */
export function select(ids) {
  selected.value = new Set(ids);
}

/** Choose one, or not any more. */
export function toggle(id) {
  const next = new Set(selected.value);
  if (!next.delete(id)) next.add(id);
  selected.value = next;
}
