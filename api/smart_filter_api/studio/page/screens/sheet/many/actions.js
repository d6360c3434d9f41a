/** Actions on the selected photos, and the dialog of the one being prepared. */

import { signal } from "@preact/signals";
import { Button } from "../../../controls/button.js";
import { html } from "../../../html.js";
import { isBusy } from "../../../state/bulk.js";
import { deleteThese } from "../deleting.js";
import { Background } from "./background.js";
import { Download } from "./download.js";
import { Recipe } from "./recipe.js";
import { SaveAs } from "./save-as.js";

const ACTIONS = [
  { title: "Background", icon: "swatch", Dialog: Background },
  { title: "Save as", icon: "image", Dialog: SaveAs },
  { title: "Download", icon: "download", Dialog: Download },
  { title: "Copy a recipe", icon: "copy", Dialog: Recipe },
];

/** `{Dialog, entries}` of the open dialog, or null. */
const open = signal(null);

/** entries: the selected ones, in the order of their selection. */
export function Actions({ entries }) {
  const isOff = entries.length === 0 || isBusy();
  const why = isBusy() ? "Another action is in progress" : undefined;
  return html`<div class="row many">
    ${ACTIONS.map(({ title, icon, Dialog }) => html`<${Button} key=${title} kind="quiet" icon=${icon}
      disabled=${isOff} title=${why} onClick=${() => (open.value = { Dialog, entries })}>${title}<//>`)}
    <${Button} kind="danger" icon="clear" disabled=${isOff} title=${why}
      onClick=${() => deleteThese(entries)}>Delete<//>
  </div>`;
}

/** The open dialog. */
export function Preparing() {
  if (open.value === null) return null;
  const { Dialog, entries } = open.value;
  return html`<${Dialog} entries=${entries} onClose=${() => (open.value = null)} />`;
}
