/** Head of a photo's screen: its name, links to its neighbors, delete and save. */

import { useLayoutEffect, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Dialog } from "../../controls/dialog.js";
import { Icon } from "../../controls/icon.js";
import { Trouble, say, sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { go } from "../../router.js";
import { remove } from "../../state/jobs.js";
import { photos } from "../../state/photos.js";
import { nameOf } from "../naming.js";
import { download } from "./save/download.js";
import { pictured } from "./viewer/shown.js";

/** children: undo and redo. */
export function Header({ photo, children }) {
  const [isAsking, ask] = useState(false);
  const [isSaving, setSaving] = useState(false);
  const { before, after } = neighbors(photo);
  useArrows(before, after);
  const name = nameOf({ photo });
  const job = pictured(photo);
  const save = async () => {
    if (isSaving) return;
    setSaving(true);
    await download(job, "image").catch(sayTrouble);
    setSaving(false);
  };
  return html`<header class="photo-head">
    <a class="button quiet icon" href="#/" aria-label="Back to all photos" title="Back to all photos">
      <${Icon} name="sheet" /></a>
    <div class="name"><h1 title=${name}>${name}</h1></div>
    <div class="row tools">
      <${Button} kind="quiet leaf" icon="arrowLeft" label="Previous photo" disabled=${!before}
        onClick=${() => go(`photo/${before.id}`)} />
      <${Button} kind="quiet leaf" icon="arrowRight" label="Next photo" disabled=${!after}
        onClick=${() => go(`photo/${after.id}`)} />
      ${children}
      <${Button} kind="quiet" icon="clear" label="Delete" onClick=${() => ask(true)} />
      ${job.outputs.image && html`<${Button} kind="primary" icon="download" aria-disabled=${isSaving}
        onClick=${save}>Download<//>`}
    </div>
    ${isAsking && html`<${Deleting} photo=${photo} onClose=${() => ask(false)} />`}
  </header>`;
}

function Deleting({ photo, onClose }) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const erase = async () => {
    setBusy(true);
    try {
      await remove(...photo.versions.map((job) => job.id));
      say("Deleted from the service.");
      go("");
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  const many = photo.versions.length;
  return html`<${Dialog} title="Delete this photo?" onClose=${onClose} actions=${html`
    <${Button} onClick=${onClose}>Keep it<//>
    <${Button} kind="danger" icon="clear" disabled=${isBusy} onClick=${erase}>Delete<//>`}>
    <p>The photo and its pictures${many > 1 ? `, all ${many} versions,` : ""} are deleted from this
      page and from the service. This cannot be undone.</p>
    ${error && html`<${Trouble} error=${error} />`}
  <//>`;
}

function neighbors(photo) {
  const all = photos.value;
  const index = all.findIndex((one) => one.id === photo.id);
  return { before: all[index - 1], after: all[index + 1] };
}

/** Go to the previous or next photo by arrow keys, unless another control uses them. */
function useArrows(before, after) {
  useLayoutEffect(() => {
    const leaf = (event) => {
      if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.target.closest("input, select, textarea, dialog, [role=slider], [role=tablist]")) return;
      const next = { ArrowLeft: before, ArrowRight: after }[event.key];
      if (next !== undefined) go(`photo/${next.id}`);
    };
    addEventListener("keydown", leaf);
    return () => removeEventListener("keydown", leaf);
  }, [before?.id, after?.id]);
}
