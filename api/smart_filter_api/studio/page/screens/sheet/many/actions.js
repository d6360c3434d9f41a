/** Actions on the selected photos, and the dialog of the one being prepared. */

import { signal } from "@preact/signals";
import { Button } from "../../../controls/button.js";
import { html } from "../../../html.js";
import { isBusy } from "../../../state/bulk.js";
import { MOST_NAMED } from "../../../state/choices.js";
import { deleteChosen } from "../deleting.js";
import { chosen } from "../selection.js";
import { Background } from "./background.js";
import { Download } from "./download.js";
import { Recipe } from "./recipe.js";
import { SaveAs } from "./save-as.js";
import { Unfinished } from "./unfinished.js";

const ACTIONS = [
  { title: "Background", icon: "swatch", Dialog: Background },
  { title: "Save as", icon: "image", Dialog: SaveAs },
  { title: "Download", icon: "download", Dialog: Download },
  { title: "Copy a recipe", icon: "copy", Dialog: Recipe },
  { title: "Retry or cancel", icon: "refresh", Dialog: Unfinished },
];

/** `{Dialog, choice}` of the open dialog, or null. */
const open = signal(null);

/** choice: `chosen` of selection.js. */
export function Actions({ choice }) {
  const why = reason(choice);
  const isOff = choice.count === 0 || why !== undefined;
  return html`<div class="row many">
    ${ACTIONS.map(({ title, icon, Dialog }) => html`<${Button} key=${title} kind="quiet" icon=${icon}
      disabled=${isOff} title=${why} onClick=${() => (open.value = { Dialog, choice })}>${title}<//>`)}
    <${Button} kind="danger" icon="clear" disabled=${isOff} title=${why}
      onClick=${() => deleteChosen(choice)}>Delete<//>
  </div>`;
}

/** The open dialog. */
export function Preparing() {
  if (open.value === null) return null;
  const { Dialog } = open.value;
  // The service may still count the photos.
  const choice = chosen.value ?? open.value.choice;
  return html`<${Dialog} choice=${choice} onClose=${() => (open.value = null)} />`;
}

/** Return why no action can begin; undefined if one can. */
function reason({ wanted }) {
  if (isBusy()) return "Another action is in progress";
  const named = Math.max(wanted.photos.length, wanted.except?.length ?? 0);
  if (named <= MOST_NAMED) return undefined;
  return `At most ${MOST_NAMED} photos can be chosen, or left out, one by one: use “Choose all”`;
}
