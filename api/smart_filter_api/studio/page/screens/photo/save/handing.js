/** The finished picture, handed on: to the disk, the clipboard, or another app. */

import { useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { say, sayTrouble } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { download, fetchFile } from "./download.js";

/** Buttons for what this browser can do. */
export function Handing({ job }) {
  const [busy, setBusy] = useState(null);
  const during = (name, run) => async () => {
    if (busy !== null) return;
    setBusy(name);
    await run(job).catch((error) => sayTrouble(inWords(error)));
    setBusy(null);
  };
  const canShare = typeof navigator.share === "function";
  return html`<div class="row wrap">
    <${Button} icon="download" aria-disabled=${busy === "save"}
      onClick=${during("save", (one) => download(one, "image"))}>Save picture<//>
    <${Button} icon="copy" disabled=${!isSecureContext} aria-disabled=${busy === "copy"}
      onClick=${during("copy", copy)}>Copy<//>
    ${canShare && html`<${Button} icon="share" aria-disabled=${busy === "share"}
      onClick=${during("share", share)}>Share<//>`}
    ${!isSecureContext && html`<p class="small soft">Browsers let pages copy and share pictures only
      over https. Save it instead.</p>`}
  </div>`;
}

async function copy(job) {
  // Asked for within the click, as some browsers insist; the picture may come later.
  const item = new ClipboardItem({ "image/png": fetchFile(job, "image").then(asPng) });
  await navigator.clipboard.write([item]);
  say("Copied. Paste it where you need it.");
}

async function share(job) {
  const files = [await fetchFile(job, "image")];
  if (!navigator.canShare?.({ files })) {
    throw { title: "This browser cannot share pictures of this kind", remedy: "Save it instead." };
  }
  await navigator.share({ files });
}

/** Return a picture as PNG, the one kind that every clipboard takes. */
async function asPng(file) {
  if (file.type === "image/png") return file;
  const bitmap = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function inWords(error) {
  if (error.name !== "NotAllowedError") return error;
  return { title: "The browser did not allow it", remedy: "Try once more, or save the picture." };
}
