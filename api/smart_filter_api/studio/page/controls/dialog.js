/** Dialogs on the browser's own `<dialog>`, which traps the focus and closes on Escape. */

import { useEffect, useId, useRef } from "preact/hooks";
import { html } from "../html.js";
import { Button } from "./button.js";

/** A dialog, open while it is rendered. onClose: called when it closes. actions: its buttons. */
export function Dialog({ title, onClose, actions, children }) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    element.current.showModal();
  }, []);
  return html`<dialog class="dialog" ref=${element} aria-labelledby=${id} onClose=${onClose}>
    <div class="inside">
      <div class="row spread"><h2 id=${id}>${title}</h2>
        <${Button} kind="quiet small" icon="close" label="Close"
          onClick=${() => element.current.close()} /></div>
      ${children}
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
  </dialog>`;
}
