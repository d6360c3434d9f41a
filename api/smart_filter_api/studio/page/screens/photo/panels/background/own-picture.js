/** The user's own picture as the background. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { html } from "../../../../html.js";
import { change } from "../../../../state/changes.js";

const ACCEPTED = "image/jpeg,image/png,image/webp,image/avif,image/heic,image/heif";
const MOST_BYTES = 40_000_000;

/** A place to drop or choose the picture. */
export function OwnPicture({ photo, recipe }) {
  const picker = useRef(null);
  const [wrong, setWrong] = useState("");
  const take = (file) => {
    if (file === undefined) return;
    const refused = whyNot(file);
    setWrong(refused);
    if (refused === "") change(photo, {}, file);
  };
  const isOver = useDrop(take);
  const isInUse = recipe.background === "file";
  return html`<div class=${`own-picture stack ${isOver ? "over" : ""}`}>
    <p>${isInUse ? "Your picture is the background." : "Drop a picture here, or choose one."}</p>
    <${Button} icon="upload" onClick=${() => picker.current.click()}>
      ${isInUse ? "Choose another" : "Choose a picture"}<//>
    <input ref=${picker} type="file" accept=${ACCEPTED} hidden aria-label="Picture for the background"
      onChange=${(event) => {
        take(event.currentTarget.files[0]);
        event.currentTarget.value = "";
      }} />
    <p class="soft small">JPEG, PNG, WebP, AVIF or HEIC, up to 40 MB. It fills the picture.</p>
    ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
  </div>`;
}

/** Return why a file cannot be used, as far as the browser can tell. */
function whyNot(file) {
  if (file.size > MOST_BYTES) return `${file.name} is too large: the limit is 40 MB.`;
  if (file.size === 0) return `${file.name} is empty.`;
  return "";
}

/** Accept files dropped anywhere on the page; return whether a file is dragged over it. */
function useDrop(take) {
  const [isOver, setOver] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const heard = {
      dragover: (event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      },
      dragleave: (event) => {
        if (event.relatedTarget === null) setOver(false);
      },
      drop: (event) => {
        event.preventDefault();
        setOver(false);
        latest.current(event.dataTransfer.files[0]);
      },
    };
    for (const [name, listener] of Object.entries(heard)) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(heard)) removeEventListener(name, listener);
    };
  }, []);
  return isOver;
}
