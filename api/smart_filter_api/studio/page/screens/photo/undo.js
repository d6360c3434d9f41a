/** Undo and redo by buttons and keys. */

import { useEffect, useRef } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { html } from "../../html.js";
import { isChanging } from "../../state/changes.js";
import { after, before, loadVersions, redo, undo } from "../../state/undo.js";

// Elements with text input, where the browser's own undo applies.
const WRITTEN_IN = "textarea, select, [contenteditable], input:not([type=range], [type=checkbox], "
  + "[type=radio], [type=color], [type=file])";

/** Both buttons; Ctrl+Z and Ctrl+Shift+Z (⌘ on a Mac) do the same outside text inputs. */
export function UndoButtons({ photo }) {
  useKeys(photo);
  useEffect(() => {
    // On an error, the known steps stay available.
    loadVersions(photo).catch(() => {});
  }, [photo.id]);
  const canUndo = isChanging(photo) || before(photo) !== undefined;
  const canRedo = !isChanging(photo) && after(photo) !== undefined;
  // A disabled button would lose the focus of the user who just pressed it.
  return html`<div class="row" role="group" aria-label="Versions">
    <${Button} kind="quiet" icon="undo" label="Undo" aria-keyshortcuts="Control+Z"
      aria-disabled=${canUndo ? undefined : "true"} onClick=${() => undo(photo)} />
    <${Button} kind="quiet" icon="redo" label="Redo" aria-keyshortcuts="Control+Shift+Z"
      aria-disabled=${canRedo ? undefined : "true"} onClick=${() => redo(photo)} />
  </div>`;
}

function useKeys(photo) {
  const latest = useRef(photo);
  latest.current = photo;
  useEffect(() => {
    const pressed = (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      if (event.target.closest?.(`dialog, ${WRITTEN_IN}`)) return;
      const isForth = key === "y" || event.shiftKey;
      if ((isForth ? redo : undo)(latest.current)) event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
