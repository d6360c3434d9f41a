/** Head of a photo's screen: its name, links to its neighbors, delete and save. */

import { useLayoutEffect, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Icon } from "../../controls/icon.js";
import { sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { go } from "../../router.js";
import { allPhotos } from "../../state/outlines.js";
import { nameOf } from "../naming.js";
import { Deleting, deleteThese, deleting } from "../sheet/deleting.js";
import { download } from "./save/download.js";
import { pictured } from "./viewer/shown.js";

/** children: undo and redo. */
export function Header({ photo, children }) {
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
      <${Button} kind="quiet" icon="clear" label="Delete" onClick=${() => deleteThese([{ id: photo.id, photo }], () => go(""))} />
      ${job.outputs.image && html`<${Button} kind="primary" icon="download" aria-disabled=${isSaving}
        onClick=${save}>Download<//>`}
    </div>
    ${deleting.value && html`<${Deleting} ...${deleting.value} />`}
  </header>`;
}

function neighbors(photo) {
  const all = allPhotos.value;
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
