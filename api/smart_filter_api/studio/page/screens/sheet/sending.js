/** Card of a photo that the service has not accepted yet. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Progress } from "../../controls/progress.js";
import { html } from "../../html.js";
import { reachable } from "../../service/api.js";
import { again, drop } from "../../state/pending.js";
import { durationInWords, momentInWords, sizeInWords } from "../../words.js";
import { Fault } from "./ended.js";

const SOON_MS = 90_000;

/** sending: see state/pending.js. */
export function Sending({ sending }) {
  const { id, state, error } = sending;
  if (state === "refused") {
    return html`<${Fault} error=${error} />
      <div class="row actions">
        ${![413, 415].includes(error.status) && html`<${Button} kind="small" icon="refresh"
          onClick=${() => again(id)}>Try again<//>`}
        <${Button} kind="small quiet" icon="close" onClick=${() => drop(id)}>Remove<//>
      </div>`;
  }
  return html`
    ${state === "sending" && reachable.value ? html`<${OnItsWay} ...${sending} />` : html`<${Waiting} ...${sending} />`}
    <div class="row actions">
      ${state === "waiting" && sending.until !== null && html`<${Button} kind="small" icon="refresh"
        onClick=${() => again(id)}>Try now<//>`}
      <${Button} kind="small quiet" icon="close" onClick=${() => drop(id)}>
        ${state === "sending" ? "Stop" : "Remove"}<//>
    </div>`;
}

function OnItsWay({ file, done }) {
  const sent = done < 1
    ? `${sizeInWords(done * file.size)} of ${sizeInWords(file.size)}`
    : "Uploaded, waiting for the service";
  return html`<p class="soft figures">${done < 1 && "Sending "}${sent}</p>
    <${Progress} done=${done} label=${`Sending ${file.name}`} />`;
}

function Waiting({ state, until, error, file }) {
  const now = useClock(until !== null);
  if (!reachable.value) {
    return html`<p class="soft"><strong>Waiting for the service.</strong> The upload starts when the
      service is back.</p>`;
  }
  if (until === null) {
    return html`<p class="soft">${state === "looking" ? "Checking the file" : "Waiting to be sent"}
      <span class="figures">${` (${sizeInWords(file.size)})`}</span></p>`;
  }
  const left = until - now;
  const when = left < SOON_MS
    ? `in ${durationInWords(Math.max(0, left / 1000))}`
    : `at ${momentInWords(until)}`;
  return html`<p class="soft"><strong>Continues automatically ${when}.</strong> ${error?.detail}</p>`;
}

/** Return the time, updated every second while a photo waits. */
function useClock(isWaiting) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isWaiting) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isWaiting]);
  return now;
}
