/** The user's own picture as the background. */

import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../../../../html.js";
import { change } from "../../../../state/changes.js";
import { PictureButton, WHICH, faultOf } from "../../../background/picture-button.js";

/** A place to drop or choose the picture. */
export function OwnPicture({ photo, recipe }) {
  const [wrong, setWrong] = useState("");
  const take = (file) => {
    setWrong("");
    change(photo, {}, file);
  };
  const isOver = useDrop((file) => {
    const fault = faultOf(file);
    if (fault === "") take(file);
    else setWrong(fault);
  });
  const isInUse = recipe.background === "file";
  return html`<div class=${`own-picture stack ${isOver ? "over" : ""}`}>
    <p>${isInUse ? "Your picture is the background." : "Drop a picture here, or choose one."}</p>
    <${PictureButton} onPick=${take}>${isInUse ? "Choose another" : "Choose a picture"}<//>
    <p class="soft small">${WHICH}</p>
    ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
  </div>`;
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
        const [file] = event.dataTransfer.files;
        if (file !== undefined) latest.current(file);
      },
    };
    for (const [name, listener] of Object.entries(heard)) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(heard)) removeEventListener(name, listener);
    };
  }, []);
  return isOver;
}
