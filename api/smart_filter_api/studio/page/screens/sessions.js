/** The sessions of the signed-in user's key, in a dialog that ends others. */

import { useState } from "preact/hooks";
import { Button } from "../controls/button.js";
import { Dialog } from "../controls/dialog.js";
import { sayTrouble } from "../controls/notices.js";
import { html } from "../html.js";
import { ask, call } from "../service/api.js";
import { momentInWords } from "../words.js";

/** The button that opens the dialog. */
export function Sessions() {
  const [items, setItems] = useState(null);
  const show = () =>
    ask("GET", "/v1/sessions")
      .then((page) => setItems(page.items))
      .catch(sayTrouble);
  const end = (id) => call("DELETE", `/v1/sessions/${id}`).then(show).catch(sayTrouble);
  return html`
    <${Button} kind="quiet" icon="people" label="Sessions" onClick=${show} />
    ${items && html`<${Dialog} title="Where your key is signed in" onClose=${() => setItems(null)}>
      <ul class="stack">
        ${items.map(
          (one) => html`<li key=${one.session_id} class="row spread">
            <span>${one.is_current ? "This browser" : "Another browser"}, since
              ${" "}${momentInWords(one.created_at)}
              <span class="soft">, last used ${momentInWords(one.used_at)}</span></span>
            ${!one.is_current && html`<${Button} kind="small"
              onClick=${() => end(one.session_id)}>End<//>`}
          </li>`,
        )}
      </ul>
    <//>`}`;
}
