/** Consent to train models on corrections; lists what was given, and explains how to revoke it. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Dialog } from "../../../../controls/dialog.js";
import { Check } from "../../../../controls/fields.js";
import { Trouble } from "../../../../controls/notices.js";
import { html } from "../../../../html.js";
import { given, hasConsented } from "../../../../state/corrections.js";

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** The consent box; off until the user agrees, and again after the page is left. */
export function Consent({ photo }) {
  const [isOpen, open] = useState(false);
  const isOf = photo.current.recipe.persons !== "all";
  return html`<section class="consent stack tight" aria-label="Learning">
    <${Check} checked=${hasConsented.value}
      onChange=${(isChecked) => {
        hasConsented.value = isChecked;
      }}
      hint=${`With the next corrections that you apply, your strokes and a small copy of the photo are
        stored on this service to train its models. They stay after the photo expires, until you
        delete the photo. Agree only if the people in it may be used this way. Without consent,
        strokes expire with the photo.`}><strong>Train models on this</strong><//>
    ${isOf && html`<p class="soft small">While a person is removed, this photo is not used for
      training.</p>`}
    <div><${Button} kind="small quiet" onClick=${() => open(true)}>Show given corrections<//></div>
    ${isOpen && html`<${Given} photo=${photo} onClose=${() => open(false)} />`}
  </section>`;
}

function Given({ photo, onClose }) {
  const [list, setList] = useState(null);
  const [error, setError] = useState(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    setError(null);
    given(photo.versions).then(setList, setError);
  }, [attempt]);
  return html`<${Dialog} title="Corrections of this photo" onClose=${onClose}>
    ${error && html`<${Trouble} error=${error}><${Button} kind="small" icon="refresh"
      onClick=${() => setAttempt(attempt + 1)}>Try again<//><//>`}
    ${!error && list === null && html`<p class="soft" role="status">Loading</p>`}
    ${list?.length === 0 && html`<p>None so far. Applied corrections are listed here.</p>`}
    ${list?.length > 0 && html`<ul class="given">
      ${list.map((one) => html`<li key=${one.id} class="row spread wrap">
        <span>${WHEN.format(new Date(one.created_at))}</span>
        ${one.consent
          ? html`<span class="tag accent">Used for training</span>`
          : html`<span class="tag">Expires ${WHEN.format(new Date(one.expires_at))}</span>`}
      </li>`)}
    </ul>`}
    <p class="soft small">To revoke the consent, delete the photo (the bin at the top of the page). That
      deletes the corrections at once, also from every data set. Models that were trained on them stay
      marked as such.</p>
  <//>`;
}
