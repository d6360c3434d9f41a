/** Ways to add photos: drop, paste, choose, take. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Icon } from "../../controls/icon.js";
import { say, sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { ACCEPTED } from "../../service/formats.js";
import { add, addAddress } from "../../state/pending.js";
import { fieldsWanted } from "../../state/wanted.js";
import { momentInWords } from "../../words.js";
import { Camera } from "./camera.js";
import { addressOf, fileIn, filesOf } from "./dropped.js";
import { Wanted } from "./wanted.js";

/** The intake area. isWide: the sheet is empty. */
export function Intake({ isWide }) {
  const picker = useRef(null);
  const shooter = useRef(null);
  const [isShooting, setShooting] = useState(false);
  const isOver = useWholePage(take, takeAddress);
  const picked = (event) => {
    take([...event.currentTarget.files]);
    event.currentTarget.value = "";
  };
  // On a phone, use its own camera app.
  const shoot = () => (isHandheld() ? shooter.current.click() : setShooting(true));
  return html`<section class=${`intake ${isWide ? "wide" : ""}`} aria-label="Add photos">
    <div class="stack tight">
      <h1>${isWide ? invitation() : "Add photos"}</h1>
      <p class="soft">${isWide
        ? "People are cut out, smiles are rated, and a matching background is chosen. JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF, up to 40\u00a0MB each."
        : "Drop or paste photos or folders anywhere on this page."}</p>
    </div>
    ${isWide || !matchMedia("(max-width: 640px)").matches
      ? html`<${Wanted} />`
      : html`<details><summary>Settings of new photos</summary><${Wanted} /></details>`}
    <div class="row wrap">
      <${Button} kind="primary" icon="upload" onClick=${() => picker.current.click()}>
        Choose photos<//>
      <${Button} icon="camera" onClick=${shoot}>Take one<//>
    </div>
    <input ref=${picker} type="file" accept=${ACCEPTED} multiple hidden data-way="pick"
      onChange=${picked} />
    <input ref=${shooter} type="file" accept="image/*" capture="user" hidden data-way="shoot"
      onChange=${picked} />
    ${isShooting && html`<${Camera} onTaken=${(file) => take([file])}
      onClose=${() => setShooting(false)} />`}
    ${isOver && html`<div class="drop-here" aria-hidden="true">
      <p><${Icon} name="upload" />Drop to add</p></div>`}
  </section>`;
}

function take(files) {
  if (files.length > 0) add(files, fieldsWanted());
}

function takeAddress(address) {
  addAddress(address, fieldsWanted()).catch(sayTrouble);
}

/**
 * Accept files dropped or pasted anywhere; return whether something is dragged over the page.
 *
 * takeAddress: called with the address of a picture of another page; if absent, only files are taken.
 */
export function useWholePage(take, takeAddress) {
  const [isOver, setOver] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const over = (event) => {
      if (!isTaken(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const left = (event) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const dropped = async (event) => {
      if (!isTaken(event)) return;
      event.preventDefault();
      setOver(false);
      const address = addressOf(event.dataTransfer);
      try {
        const { files, isFolder } = await filesOf(event.dataTransfer);
        const inside = address && fileIn(address, `Dropped at ${momentInWords(Date.now())}`);
        if (inside) files.push(inside);
        latest.current(files);
        if (files.length === 0 && address !== null) {
          if (takeAddress && /^https?:/u.test(address)) takeAddress(address);
          else say("This picture cannot be taken from the other page. Save it as a file, and drop that.");
        }
        if (isFolder && files.length === 0) say("There is no photo in this folder.");
      } catch {
        say("The dropped files cannot be read. Choose the photos with the button instead.");
      }
    };
    const pasted = (event) => latest.current(Array.from(event.clipboardData.files, named));
    const heard = { dragover: over, dragleave: left, drop: dropped, paste: pasted };
    for (const [name, listener] of Object.entries(heard)) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(heard)) removeEventListener(name, listener);
    };
  }, []);
  return isOver;
}

/** Return whether a drag brings files, or a link that is not for a text field. */
function isTaken({ dataTransfer, target }) {
  const { types } = dataTransfer;
  return types.includes("Files") || (types.includes("text/uri-list") && !target.closest?.("input, textarea"));
}

/** Browsers give every pasted picture the same name; use the time instead. */
function named(file) {
  if (file.name !== "image.png") return file;
  return new File([file], `Pasted at ${momentInWords(Date.now())}.png`, { type: file.type });
}

function invitation() {
  return isHandheld() ? "Add photos" : "Drop photos here";
}

/** Return whether the page is used by touch: nothing can be dropped, and a camera app is there. */
export function isHandheld() {
  return matchMedia("(pointer: coarse)").matches;
}
