/** An album during its upload. */

import { Button } from "../../controls/button.js";
import { Icon } from "../../controls/icon.js";
import { Trouble } from "../../controls/notices.js";
import { Progress } from "../../controls/progress.js";
import { html } from "../../html.js";
import { go } from "../../router.js";
import { reachable } from "../../service/api.js";
import { giveUp, goOnNow } from "../../state/album-drafts.js";
import { previewOf } from "../../state/previews.js";
import { counted, sizeInWords } from "../../words.js";

const MOST_SHOWN = 60;

/** draft: see state/album-drafts.js. */
export function OnItsWay({ draft }) {
  const { photos, error, until } = draft;
  const wanted = photos.filter((photo) => photo.state !== "refused");
  const refused = photos.filter((photo) => photo.state === "refused");
  const sent = wanted.filter((photo) => photo.state === "sent").length;
  const bytes = wanted.reduce((sum, { file }) => sum + file.size, 0);
  const bytesSent = wanted.reduce((sum, { file, done }) => sum + done * file.size, 0);
  const stop = () => {
    giveUp(draft.id);
    go("albums");
  };
  return html`
    <p><a class="back" href="#/albums"><${Icon} name="arrowLeft" />Albums</a></p>
    <div class="albums-head"><div class="stack tight"><h1>${draft.name}</h1>
      <p class="soft figures" role="status">${wordsFor(draft, sent, wanted.length)}</p></div>
      <${Button} icon="close" onClick=${stop}>Cancel<//></div>
    <${Progress} done=${bytes > 0 ? bytesSent / bytes : 0} label="Photos sent" />
    <p class="soft small figures album-bytes">${sizeInWords(bytesSent)} of ${sizeInWords(bytes)}.
      You can leave or reload this page: uploaded photos stay uploaded.</p>
    ${error && html`<${Trouble} error=${error}>
      <${Button} kind="small" icon="refresh" onClick=${() => goOnNow(draft.id)}>
        ${until === null ? "Try again" : "Try now"}<//><//>`}
    ${refused.length > 0 && html`<${Refused} photos=${refused.map(({ file, error: why }) => ({ name: file.name, error: why }))} />`}
    <ul class="thumbs sending">
      ${wanted.slice(0, MOST_SHOWN).map((photo) => html`<${Thumb} key=${photo.id} ...${photo} />`)}
      ${wanted.length > MOST_SHOWN && html`<li class="more">and ${wanted.length - MOST_SHOWN} more</li>`}
    </ul>`;
}

/** Files that the album does not include. photos: `[{name, error}]`. */
export function Refused({ photos }) {
  return html`<div class="notice fair"><${Icon} name="alert" />
    <div class="stack tight"><p class="title">${counted(photos.length, "file")} not added</p>
      <ul class="stack tight">${photos.map(({ name, error }) => html`<li key=${name}>
        <strong>${name}</strong>: ${error.detail || error.title} ${error.remedy}</li>`)}</ul></div></div>`;
}

/** A file's thumbnail. address: see state/previews.js. */
export function Preview({ address, name }) {
  if (address) return html`<img src=${address} alt=${name} />`;
  return html`<span class="no-picture" title=${name}>${address === null && html`<${Icon} name="image" label=${name} />`}</span>`;
}

function Thumb({ id, file, state, done }) {
  const address = previewOf(id, file).value;
  return html`<li data-state=${state}>
    <${Preview} address=${address} name=${file.name} />
    ${state === "sending" && html`<${Progress} done=${done} label=${`Sending ${file.name}`} />`}
    ${state === "sent" && html`<span class="sent"><${Icon} name="check" label="Sent" /></span>`}
  </li>`;
}

function wordsFor({ error, until }, sent, total) {
  if (!reachable.value) return "Waiting for the service. The upload continues when it is back.";
  if (error && until !== null) return "The upload continues in a moment.";
  if (error) return "The upload has stopped.";
  if (sent === total) return "Uploaded, waiting for the service";
  return `Uploading: ${sent} of ${counted(total, "photo")} done`;
}
