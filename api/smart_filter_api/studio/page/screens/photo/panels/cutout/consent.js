/** Whether models may learn from what is painted; what was given, and how it is taken back. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Dialog } from "../../../../controls/dialog.js";
import { Check } from "../../../../controls/fields.js";
import { Trouble } from "../../../../controls/notices.js";
import { html } from "../../../../html.js";
import { given, hasConsented } from "../../../../state/corrections.js";

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Asks; off until somebody says yes, and again after the page is left. */
export function Consent({ photo }) {
  const [isOpen, open] = useState(false);
  const isOf = photo.current.recipe.persons !== "all";
  return html`<section class="consent stack tight" aria-label="Learning">
    <${Check} checked=${hasConsented.value}
      onChange=${(isChecked) => {
        hasConsented.value = isChecked;
      }}
      hint=${`With what you apply next, your strokes and a small copy of the photo are kept on this
        service to train its models, also after the photo's own time is over, until you delete the
        photo. Only say yes if the people in it may be used so. Without it, strokes go with the
        photo.`}><strong>Let the models learn from this</strong><//>
    ${isOf && html`<p class="soft small">While somebody is dropped, nothing is learned of this
      photo.</p>`}
    <div><${Button} kind="small quiet" onClick=${() => open(true)}>See what was given<//></div>
    ${isOpen && html`<${Given} photo=${photo} onClose=${() => open(false)} />`}
  </section>`;
}

function Given({ photo, onClose }) {
  const [told, setTold] = useState(null);
  const [error, setError] = useState(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    setError(null);
    given(photo.versions).then(setTold, setError);
  }, [attempt]);
  return html`<${Dialog} title="Corrections of this photo" onClose=${onClose}>
    ${error && html`<${Trouble} error=${error}><${Button} kind="small" icon="refresh"
      onClick=${() => setAttempt(attempt + 1)}>Try again<//><//>`}
    ${!error && told === null && html`<p class="soft" role="status">Looking</p>`}
    ${told?.length === 0 && html`<p>None so far. What you paint is listed here once it is
      applied.</p>`}
    ${told?.length > 0 && html`<ul class="given">
      ${told.map((one) => html`<li key=${one.id} class="row spread wrap">
        <span>${WHEN.format(new Date(one.created_at))}</span>
        ${one.consent
          ? html`<span class="tag accent">Kept to learn from</span>`
          : html`<span class="tag">Goes ${WHEN.format(new Date(one.expires_at))}</span>`}
      </li>`)}
    </ul>`}
    <p class="soft small">To take it back, delete the photo (the bin at the top of the page). All of
      it goes at once, from every data set too; models that have been trained with it say so for ever.
      </p>
  <//>`;
}
