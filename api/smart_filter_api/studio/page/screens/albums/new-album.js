/** A new album: its photos, the number of winners, and their background. */

import { signal } from "@preact/signals";
import { useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Check, Range, TextField } from "../../controls/fields.js";
import { Icon } from "../../controls/icon.js";
import { say } from "../../controls/notices.js";
import { html } from "../../html.js";
import { go } from "../../router.js";
import { ACCEPTED } from "../../service/formats.js";
import { newId } from "../../service/ids.js";
import { MOST_PHOTOS, beginAlbum } from "../../state/album-drafts.js";
import { forgetPreview, previewOf } from "../../state/previews.js";
import { fieldsWanted } from "../../state/wanted.js";
import { counted, sizeInWords } from "../../words.js";
import { isHandheld, useWholePage } from "../sheet/intake.js";
import { Wanted } from "../sheet/wanted.js";
import { usualName } from "./naming.js";
import { Preview } from "./on-its-way.js";

const USUAL_BEST = 3;
const MOST_BEST = 50;
// Photos of a take (docs/api/batches.md).
const LEAST_SHOTS = 2;
const MOST_SHOTS = 12;
// Maximum number of thumbnails; more only slow the page down.
const MOST_SHOWN = 60;

/** The chosen photos, kept while another screen is open. `[{id, file}]` */
const chosen = signal([]);

/** `#/albums/new`. */
export function NewAlbum() {
  const picker = useRef(null);
  const [name, setName] = useState("");
  const [best, setBest] = useState(USUAL_BEST);
  const [isTake, setTake] = useState(false);
  const isOver = useWholePage(take);
  const photos = chosen.value;
  const most = Math.max(1, Math.min(photos.length, MOST_BEST));
  const winners = Math.min(best, most);
  const mayTake = photos.length >= LEAST_SHOTS && photos.length <= MOST_SHOTS;
  const begin = () => {
    chosen.value = [];
    const called = name.trim() || usualName(Date.now());
    const best = isTake && mayTake ? "take" : winners;
    go(`albums/${beginAlbum(photos, { name: called, best, fields: fieldsWanted({ mayUpload: false }) })}`);
  };
  const bytes = photos.reduce((sum, { file }) => sum + file.size, 0);
  return html`
    <p><a class="back" href="#/albums"><${Icon} name="arrowLeft" />Albums</a></p>
    <h1>New album</h1>
    <div class="new-album">
      <section class=${`panel album-photos ${photos.length === 0 ? "empty" : ""}`} aria-label="Photos">
        <div class="row wrap spread">
          <div><h2>${photos.length === 0 ? "Add the photos" : counted(photos.length, "photo")}</h2>
            <p class="soft">${photos.length === 0
              ? `${isHandheld() ? "Up" : "Drop photos or folders anywhere on this page, up"} to ${MOST_PHOTOS.toLocaleString()} photos.`
              : `${sizeInWords(bytes)} in all`}</p></div>
          <${Button} kind=${photos.length === 0 ? "primary" : ""} icon="upload"
            onClick=${() => picker.current.click()}>
            ${photos.length === 0 ? "Choose photos" : "Add more"}<//>
        </div>
        <input ref=${picker} type="file" accept=${ACCEPTED} multiple hidden data-way="album"
          onChange=${(event) => {
            take([...event.currentTarget.files]);
            event.currentTarget.value = "";
          }} />
        <ul class="thumbs">
          ${photos.slice(0, MOST_SHOWN).map((photo) => html`<${Thumb} key=${photo.id} ...${photo} />`)}
          ${photos.length > MOST_SHOWN && html`<li class="more">and ${counted(photos.length - MOST_SHOWN, "more", "more")}</li>`}
        </ul>
      </section>
      <section class="panel album-settings stack" aria-label="Settings">
        <${TextField} label="Name" value=${name} maxlength="100" placeholder=${usualName(Date.now())}
          onInput=${(event) => setName(event.currentTarget.value)} />
        ${mayTake && html`<${Check} checked=${isTake} onChange=${setTake}
          hint="For photos of one group, taken one after another">One picture with everyone's best face<//>`}
        <${Range} label="Winners" min="1" max=${most} value=${winners} disabled=${most < 2 || (isTake && mayTake)}
          shown=${counted(winners, "photo")} onInput=${setBest} />
        <p class="soft small">All photos are cut out, rated and ranked. The winners get a background;
          the others can get one later.</p>
        <${Wanted} label="Winners get" mayUpload=${false} />
        <${Button} kind="primary" icon="album" disabled=${photos.length === 0} onClick=${begin}>
          ${photos.length === 0 ? "Find the best" : `Find the best of ${photos.length}`}<//>
      </section>
    </div>
    ${isOver && html`<div class="drop-here" aria-hidden="true"><p><${Icon} name="upload" />Drop to add</p></div>`}`;
}

function Thumb({ id, file }) {
  const address = previewOf(id, file).value;
  const remove = () => {
    chosen.value = chosen.value.filter((photo) => photo.id !== id);
    forgetPreview(id);
  };
  return html`<li>
    <${Preview} address=${address} name=${file.name} />
    <button type="button" class="remove" aria-label=${`Remove ${file.name}`} onClick=${remove}>
      <span><${Icon} name="close" /></span></button>
  </li>`;
}

function take(files) {
  const room = MOST_PHOTOS - chosen.value.length;
  if (files.length > room) {
    say(`An album has at most ${MOST_PHOTOS.toLocaleString()} photos; the last ${files.length - room} were not added.`);
  }
  const added = files.slice(0, room).map((file) => ({ id: newId(), file }));
  chosen.value = [...chosen.value, ...added];
}
