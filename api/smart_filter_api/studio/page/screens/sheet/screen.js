/** The contact sheet: intake of photos, and their cards. */

import { useEffect, useLayoutEffect } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { html } from "../../html.js";
import { isLoaded } from "../../state/jobs.js";
import { allPhotos } from "../../state/outlines.js";
import { pending } from "../../state/pending.js";
import { Announcements } from "./announcements.js";
import { Choosing } from "./choosing.js";
import { Deleting, deleting } from "./deleting.js";
import { byDay, isNarrowed, narrowed, widen } from "./entries.js";
import { Intake } from "./intake.js";
import { Preparing } from "./many/actions.js";
import { Older } from "./older.js";
import { Rows } from "./rows.js";
import { isSelecting, stopSelecting } from "./selection.js";
import { Toolbar } from "./toolbar.js";

/** Scroll position, restored on return from a photo. */
let leftAt = 0;

/** The first screen of the studio. */
export function Sheet() {
  useLayoutEffect(() => {
    scrollTo(0, leftAt);
    const note = () => {
      leftAt = scrollY;
    };
    addEventListener("scroll", note, { passive: true });
    return () => removeEventListener("scroll", note);
  }, []);
  useEffect(() => stopSelecting, []);
  const entries = narrowed.value;
  const isEmpty = isLoaded.value && allPhotos.value.length === 0 && pending.value.length === 0;
  return html`
    <${Intake} isWide=${isEmpty} />
    ${!isLoaded.value && html`<${Skeleton} />`}
    ${!isEmpty && isLoaded.value && html`<${Toolbar} />`}
    ${byDay(entries).map(
      ({ day, members }) => html`<section key=${day} class=${`day ${isSelecting.value ? "selects" : ""}`}>
        <h2>${day}</h2>
        <${Rows} label=${`Photos: ${day}`} entries=${members} />
      </section>`,
    )}
    ${isLoaded.value && !isEmpty && entries.length === 0 && html`<${Nothing} />`}
    <${Older} shown=${entries.length} />
    <${Announcements} />
    <${Choosing} />
    <${Preparing} />
    ${deleting.value && html`<${Deleting} ...${deleting.value} />`}`;
}

/** Placeholder while the history is loading. */
function Skeleton() {
  return html`<ul class="sheet skeleton" aria-label="Loading the photos" aria-busy="true">
    ${Array.from({ length: 5 }, (_, index) => html`<li key=${index} class="card" />`)}
  </ul>`;
}

function Nothing() {
  return html`<div class="nothing stack">
    <p class="soft">${isNarrowed.value ? "No photo matches." : "No photos."}</p>
    <p><${Button} onClick=${widen}>Show all photos<//></p>
  </div>`;
}
