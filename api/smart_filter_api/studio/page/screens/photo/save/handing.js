/** Ways to hand on the finished picture: save, copy, share. */

import { useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { say, sayTrouble } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { copyPicture } from "../../../service/clipboard.js";
import { download, fetchFile } from "./download.js";

const NOT_SHARED = {
  title: "The browser did not allow it",
  remedy: "Try once more, or save the picture.",
};

/** Buttons for the ways that this browser supports. isGuest: without copying. */
export function Handing({ job, isGuest = false }) {
  const [busy, setBusy] = useState(null);
  const during = (name, run) => async () => {
    if (busy !== null) return;
    setBusy(name);
    await run(job).catch(sayTrouble);
    setBusy(null);
  };
  const canShare = typeof navigator.share === "function";
  return html`<div class="row wrap">
    <${Button} icon="download" aria-disabled=${busy === "save"}
      onClick=${during("save", (one) => download(one, "image"))}>Save picture<//>
    ${!isGuest && html`<${Button} icon="copy" disabled=${!isSecureContext}
      aria-disabled=${busy === "copy"} onClick=${during("copy", copy)}>Copy<//>`}
    ${canShare && html`<${Button} icon="share" aria-disabled=${busy === "share"}
      onClick=${during("share", share)}>Share<//>`}
    ${!isSecureContext && !isGuest && html`<p class="small soft">Browsers let pages copy and share pictures only
      over https. Save the picture instead.</p>`}
  </div>`;
}

async function copy(job) {
  await copyPicture(() => fetchFile(job, "image"));
  say("Copied. Paste it where you need it.");
}

async function share(job) {
  const files = [await fetchFile(job, "image")];
  if (!navigator.canShare?.({ files })) {
    throw { title: "This browser cannot share pictures of this format", remedy: "Save the picture instead." };
  }
  await navigator.share({ files }).catch((error) => {
    throw error.name === "NotAllowedError" ? NOT_SHARED : error;
  });
}
