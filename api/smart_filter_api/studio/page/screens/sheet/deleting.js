/** Confirmation and progress of deleting photos. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Dialog } from "../../controls/dialog.js";
import { Trouble, say, sayTrouble } from "../../controls/notices.js";
import { Progress } from "../../controls/progress.js";
import { html } from "../../html.js";
import { act, dismissBulk } from "../../state/bulk.js";
import { jobsOf, jobsOfAll, removeAll } from "../../state/deleting.js";
import { remove } from "../../state/jobs.js";
import { drop, pending } from "../../state/pending.js";
import { forgetPreview } from "../../state/previews.js";
import { counted } from "../../words.js";
import { nameOf } from "../naming.js";
import { stopSelecting } from "./selection.js";

/** Photos to confirm: `{entries}`, `{entries: null}` for all photos; null: no dialog. */
export const deleting = signal(null);

/** Ask for confirmation to delete these photos. */
export function deleteThese(entries) {
  const isUnsent = entries.every((entry) => entry.photo === undefined);
  // Photos that were not sent need no confirmation.
  if (isUnsent) drop(...entries.map(({ id }) => id));
  else deleting.value = { entries };
}

/** Ask for confirmation to delete all photos. */
export function deleteAll() {
  deleting.value = { entries: null };
}

/** The confirmation dialog. */
export function Deleting({ entries }) {
  const [lists, setLists] = useState(null);
  const [error, setError] = useState(null);
  const [done, setDone] = useState(null);
  const stop = useRef(new AbortController());
  const unsent = (entries ?? pending.value.map((sending) => ({ sending }))).filter((one) => one.sending);
  const count = () => {
    setError(null);
    const found = entries === null
      ? jobsOfAll({ signal: stop.current.signal })
      : jobsOf(entries.filter((one) => one.photo).map((one) => one.photo));
    found.then(setLists).catch((problem) => problem.name !== "AbortError" && setError(problem));
  };
  useEffect(() => {
    count();
    return () => stop.current.abort();
  }, []);
  const total = useRef(0);
  const go = async () => {
    setError(null);
    if (entries?.length > 1) {
      drop(...unsent.map(({ sending }) => sending.id));
      removeEach(entries.filter((one) => one.photo), lists);
      deleting.value = null;
      return;
    }
    if (total.current === 0) {
      total.current = lists.length;
      drop(...unsent.map(({ sending }) => sending.id));
    }
    setDone((before) => before ?? 0);
    try {
      await removeAll(lists, {
        onDone: () => setDone((before) => before + 1),
        signal: stop.current.signal,
      });
    } catch (problem) {
      setError(problem);
      return;
    }
    if (stop.current.signal.aborted) return;
    end(`${counted(total.current + unsent.length, "photo")} deleted from the service.`);
  };
  const close = () => {
    if (done !== null && lists.length > 0) {
      say(`Stopped: ${counted(lists.length, "photo")} not deleted.`);
    }
    deleting.value = null;
  };
  const isGoing = done !== null && error === null;
  return html`<${Dialog} title=${titleOf(entries)} onClose=${close} actions=${html`
      <${Button} onClick=${close}>${isGoing ? "Stop" : "Keep"}<//>
      ${!isGoing && html`<${Button} kind="danger" icon="clear" disabled=${lists === null}
        onClick=${go}>${done === null ? "Delete" : "Go on"}<//>`}`}>
    ${error && html`<${Trouble} error=${error}>
      ${lists === null && html`<${Button} kind="small" onClick=${count}>Try again<//>`}<//>`}
    ${lists === null && !error && html`<p role="status">Counting…</p>`}
    ${lists !== null && done === null && html`<p>${whatGoes(lists, unsent.length)}</p>`}
    ${done !== null && html`
      <p role="status" class="figures">${done} of ${counted(total.current, "photo")} deleted</p>
      <${Progress} done=${total.current ? done / total.current : 1} label="Deleted" />`}
  <//>`;
}

/** Delete entries' photos as an action of state/bulk.js. lists: ids of jobs, by entry. */
async function removeEach(entries, lists) {
  const ids = new Map(entries.map(({ id }, index) => [id, lists[index]]));
  stopSelecting();
  const { done, failures, isStopped } = await act(entries, {
    title: "Deleting photos",
    begin: ({ id }) => remove(...ids.get(id)),
    again: (others) => removeEach(others, others.map(({ id }) => ids.get(id))),
  });
  if (failures.length > 0 || isStopped) return;
  dismissBulk();
  say(`${counted(done, "photo")} deleted from the service.`);
}

function titleOf(entries) {
  if (entries === null) return "Delete everything?";
  if (entries.length === 1) return `Delete “${nameOf(entries[0])}”?`;
  return `Delete ${counted(entries.length, "photo")}?`;
}

function whatGoes(lists, unsent) {
  const versions = lists.reduce((sum, ids) => sum + ids.length, 0);
  const isOne = lists.length === 1 && unsent === 0;
  return `${isOne ? theOne(versions) : theMany(lists.length, versions, unsent)} are deleted from the service
    at once. This cannot be undone.`;
}

function theOne(versions) {
  return `The photo and its pictures${versions > 1 ? `, all ${versions.toLocaleString()} versions,` : ""}`;
}

function theMany(count, versions, unsent) {
  const pictures = versions > count ? `, with ${versions.toLocaleString()} versions` : "";
  const others = unsent > 0 ? `, and ${unsent} that ${unsent === 1 ? "was" : "were"} not sent yet` : "";
  return `${counted(count, "photo")}${pictures}${others}: the photos and their pictures`;
}

function end(words) {
  deleting.value = null;
  stopSelecting();
  say(words);
}
