/** The contact sheet: where photos are dropped, and what became of each. */

import { html } from "../../html.js";
import { hasOlder, isLoaded, loadOlder } from "../../state/jobs.js";
import { pending } from "../../state/pending.js";
import { photos } from "../../state/photos.js";
import { Button } from "../../controls/button.js";
import { sayTrouble } from "../../controls/notices.js";
import { Card, PendingCard } from "./card.js";
import { Intake } from "./intake.js";

/** The first screen of the studio. */
export function Sheet() {
  const isEmpty = isLoaded.value && photos.value.length === 0 && pending.value.length === 0;
  return html`
    <${Intake} isWide=${isEmpty} />
    <ul class="sheet" aria-label="Photos">
      ${pending.value.map((photo) => html`<${PendingCard} key=${photo.id} photo=${photo} />`)}
      ${photos.value.map((photo) => html`<${Card} key=${photo.id} photo=${photo} />`)}
    </ul>
    ${hasOlder.value && html`<p class="row older"><${Button}
      onClick=${() => loadOlder().catch(sayTrouble)}>Show older ones<//></p>`}`;
}
