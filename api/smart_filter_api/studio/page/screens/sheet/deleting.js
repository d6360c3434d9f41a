/** Confirmation of deleting photos, and its undo. */

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Dialog } from "../../controls/dialog.js";
import { Trouble, say, sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { dismissBulk } from "../../state/bulk.js";
import { choose } from "../../state/choices.js";
import { deletePhotos } from "../../state/deleting.js";
import { loadAgain } from "../../state/jobs.js";
import { allPhotos } from "../../state/outlines.js";
import { olderShown } from "../../state/photos.js";
import { counted } from "../../words.js";
import { nameOf } from "../naming.js";
import { narrowed, wantedByView } from "./entries.js";
import { dropUnsent, stopSelecting, wantedOf } from "./selection.js";

/** The photos to confirm, as `chosen` of selection.js, with `then`; null: no dialog. */
export const deleting = signal(null);

/** Ask for confirmation to delete these photos. then: called once they are being deleted. */
export function deleteThese(entries, then) {
  deleteChosen({ count: entries.length, entries, wanted: wantedOf(entries), isAll: false, then });
}

/** Ask for confirmation to delete the photos of a selection. */
export function deleteChosen(choice) {
  // Photos that were not sent need no confirmation.
  if (!choice.isAll && choice.wanted.photos.length === 0) dropUnsent(choice.entries);
  else deleting.value = choice;
}

/** Ask for confirmation to delete all photos of the view. */
export function deleteAll() {
  const entries = narrowed.peek();
  const wanted = wantedByView();
  const photos = wanted === null ? wantedOf(entries) : { ...wanted, photos: olderShown() };
  deleting.value = { count: null, entries, wanted: photos, isAll: true };
}

/** The confirmation dialog. */
export function Deleting({ entries, wanted, isAll, then }) {
  const [choice, setChoice] = useState(null);
  const [error, setError] = useState(null);
  const [stop] = useState(() => new AbortController());
  const count = () => {
    setError(null);
    choose(wanted, stop.signal).then(setChoice, (problem) => problem.name !== "AbortError" && setError(problem));
  };
  useEffect(() => {
    count();
    return () => stop.abort();
  }, []);
  const unsent = entries.filter(({ photo }) => photo === undefined).length;
  const close = () => (deleting.value = null);
  const go = () => {
    close();
    stopSelecting();
    then?.();
    dropUnsent(entries);
    erase(choice, entries.map(({ photo }) => photo).filter(Boolean));
  };
  return html`<${Dialog} title=${titleOf(entries, isAll)} onClose=${close} actions=${html`
      <${Button} onClick=${close}>Keep<//>
      <${Button} kind="danger" icon="clear" disabled=${choice === null} onClick=${go}>Delete<//>`}>
    ${error && html`<${Trouble} error=${error}><${Button} kind="small" onClick=${count}>Try again<//><//>`}
    ${choice === null && !error && html`<p role="status">Counting…</p>`}
    ${choice !== null && html`<p>${whatGoes(choice, unsent)} You can undo this for a minute.</p>`}
  <//>`;
}

/** Delete the photos of a choice, and offer to undo it. shown: those that the page knows. */
export async function erase(choice, shown) {
  const ended = await deletePhotos(choice, shown, {
    title: `Deleting ${counted(choice.photos, "photo")}`,
    again: async (ids) => erase(await choose({ photos: ids }), allPhotos.peek().filter(({ current }) => ids.includes(current.id))),
  });
  if (ended.failures === 0) dismissBulk();
  if (ended.done === 0) return;
  say(`${counted(ended.done, "photo")} deleted from the service.`, {
    label: "Undo",
    until: ended.until,
    run: () => ended.undo().then(loadAgain).then(() => say("The photos are back."), sayTrouble),
  });
}

function titleOf(entries, isAll) {
  if (isAll) return "Delete all of these photos?";
  if (entries.length === 1) return `Delete “${nameOf(entries[0])}”?`;
  return `Delete ${counted(entries.length, "photo")}?`;
}

function whatGoes({ photos: count, jobs }, unsent) {
  const versions = jobs > count ? `, with ${jobs.toLocaleString()} versions` : "";
  const others = unsent > 0 ? `, and ${unsent} that ${unsent === 1 ? "was" : "were"} not sent yet` : "";
  const verb = count + unsent === 1 ? "is" : "are";
  return `${counted(count, "photo")}${versions}${others} ${verb} deleted from the service, with all pictures.`;
}
