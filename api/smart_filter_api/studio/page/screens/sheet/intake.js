/** Ways in for photos: drop, paste, pick, shoot. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { html } from "../../html.js";
import { add } from "../../state/pending.js";

const ACCEPTED = "image/jpeg,image/png,image/webp,image/avif,image/heic,image/heif";
// What the studio shows of each.
const OUTPUTS = "image,cutout,matte,thumbnail,faces,rating,printability";

/** The place where photos come in. isWide: nothing else is there yet. */
export function Intake({ isWide }) {
  const picker = useRef(null);
  const shooter = useRef(null);
  const isOver = useWholePage();
  const picked = (event) => {
    take(event.currentTarget.files);
    event.currentTarget.value = "";
  };
  return html`<section class=${`intake ${isWide ? "wide" : ""} ${isOver ? "over" : ""}`}
    aria-label="Add photos">
    <div class="stack">
      <h1>${isWide ? "Drop photos of people here" : "Add photos"}</h1>
      <p class="soft">Drop or paste them, several at once. JPEG, PNG, WebP, AVIF or HEIC, up to
        40 MB each.</p>
    </div>
    <div class="row wrap">
      <${Button} kind="primary" icon="upload" onClick=${() => picker.current.click()}>
        Choose photos<//>
      <${Button} icon="camera" onClick=${() => shooter.current.click()}>Take one<//>
    </div>
    <input ref=${picker} type="file" accept=${ACCEPTED} multiple hidden onChange=${picked} />
    <input ref=${shooter} type="file" accept="image/*" capture="user" hidden onChange=${picked} />
  </section>`;
}

function take(files) {
  if (files.length > 0) add(files, { background: "auto", outputs: OUTPUTS });
}

/** Take what is dropped or pasted anywhere; return whether something is held over the page. */
function useWholePage() {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    const over = (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    };
    const left = (event) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const dropped = (event) => {
      event.preventDefault();
      setOver(false);
      take(event.dataTransfer.files);
    };
    const pasted = (event) => take(event.clipboardData.files);
    const heard = { dragover: over, dragleave: left, drop: dropped, paste: pasted };
    for (const [name, listener] of Object.entries(heard)) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(heard)) removeEventListener(name, listener);
    };
  }, []);
  return isOver;
}
