/** Selection of several photos, for one action on all of them. */

import { computed, signal } from "@preact/signals";

/** Ids of the selected photos in the order of their selection; null outside selection mode. */
export const selected = signal(null);
export const isSelecting = computed(() => selected.value !== null);

/** Id of the photo from which a range extends. */
let anchor = null;

/** Start selection mode. */
export function startSelecting() {
  selected.value ??= new Set();
}

/** End selection mode. */
export function stopSelecting() {
  selected.value = null;
  anchor = null;
}

/** Select exactly these photos. */
export function select(ids) {
  const next = new Set(ids);
  const known = selected.peek();
  const isSame = known?.size === next.size && [...next].every((id) => known.has(id));
  if (!isSame) selected.value = next;
}

/** Toggle the selection of a photo. */
export function toggle(id) {
  const next = new Set(selected.peek());
  if (!next.delete(id)) next.add(id);
  anchor = id;
  selected.value = next;
}

/** Add the photos between the last toggled one and this one. order: ids as the sheet shows them. */
export function extendTo(id, order) {
  const from = order.indexOf(anchor);
  if (from < 0) {
    toggle(id);
    return;
  }
  const to = order.indexOf(id);
  const range = order.slice(Math.min(from, to), Math.max(from, to) + 1);
  // The range starts at the anchor, which was chosen first.
  select([...(selected.peek() ?? []), ...(from <= to ? range : range.reverse())]);
}
