/**
 * Selection of several photos, for one action on all of them.
 *
 * It is a list of photos, or all photos of the view without some: the service resolves it, so it may
 * include photos that this page has not read.
 */

import { computed, signal } from "@preact/signals";
import { drop } from "../../state/pending.js";
import { choose } from "../../state/choices.js";
import { hasOlder } from "../../state/jobs.js";
import { olderShown } from "../../state/photos.js";
import { narrowed, wantedByView } from "./entries.js";

/**
 * `{isAll, ids, total}`; null outside selection mode.
 *
 * ids: of the selected photos in the order of their selection; with isAll, of those left out. total:
 * the number of all photos, null until the service has counted them.
 */
export const selected = signal(null);
export const isSelecting = computed(() => selected.value !== null);

/** Id of the photo from which a range extends. */
let anchor = null;

/** Return whether a photo is selected. */
export function isSelected(id) {
  const { value } = selected;
  return value !== null && value.isAll !== value.ids.has(id);
}

/** Start selection mode. */
export function startSelecting() {
  selected.value ??= listOf([]);
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
  const isSame = known?.isAll === false && known.ids.size === next.size && [...next].every((id) => known.ids.has(id));
  if (!isSame) selected.value = listOf(next);
}

/** Select all photos of the view, also those that this page has not read. Throws Problem or Away. */
export async function selectAll() {
  const wanted = wantedByView();
  // What only this page can tell is read as a whole.
  if (wanted === null) {
    select(narrowed.peek().map(({ id }) => id));
    return;
  }
  const asked = { isAll: true, ids: new Set(), total: null };
  selected.value = asked;
  const { photos } = await choose(wanted);
  if (selected.peek()?.isAll) selected.value = { ...selected.peek(), total: photos };
}

/** Toggle the selection of a photo. */
export function toggle(id) {
  const known = selected.peek() ?? listOf([]);
  const ids = new Set(known.ids);
  if (!ids.delete(id)) ids.add(id);
  anchor = id;
  selected.value = { ...known, ids };
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
  const known = selected.peek() ?? listOf([]);
  if (known.isAll) {
    const ids = new Set([...known.ids].filter((one) => !range.includes(one)));
    selected.value = { ...known, ids };
    return;
  }
  // The range starts at the anchor, which was chosen first.
  select([...known.ids, ...(from <= to ? range : range.reverse())]);
}

/**
 * The selection for an action: `{count, entries, wanted, isAll}`.
 *
 * count: null until it is known. entries: those that this page knows, in the order of their selection.
 * wanted: as `POST /v1/choices` takes it.
 */
export const chosen = computed(() => {
  if (selected.value === null) return null;
  const { isAll, ids, total } = selected.value;
  const byId = new Map(narrowed.value.map((entry) => [entry.id, entry]));
  if (!isAll) {
    const entries = [...ids].map((id) => byId.get(id)).filter(Boolean);
    return { count: entries.length, entries, wanted: wantedOf(entries), isAll };
  }
  const entries = narrowed.value.filter(({ id }) => !ids.has(id));
  const without = [...ids].map((id) => byId.get(id)?.photo?.current.id).filter(Boolean);
  const wanted = { ...wantedByView(), photos: olderShown(), except: without };
  const unsent = narrowed.value.filter(({ photo }) => photo === undefined).length;
  // Without older photos, the page knows all.
  const sent = total ?? (hasOlder.value ? null : narrowed.value.length - unsent);
  return { count: sent === null ? null : sent + unsent - ids.size, entries, wanted, isAll };
});

/** Return the choice of some entries, as `POST /v1/choices` takes it. */
export function wantedOf(entries) {
  return { photos: entries.map(({ photo }) => photo?.current.id).filter(Boolean) };
}

/** Discard the entries of a selection that were not sent yet; return their number. */
export function dropUnsent(entries) {
  const ids = entries.filter(({ photo }) => photo === undefined).map(({ id }) => id);
  if (ids.length > 0) drop(...ids);
  return ids.length;
}

function listOf(ids) {
  return { isAll: false, ids: new Set(ids), total: null };
}
