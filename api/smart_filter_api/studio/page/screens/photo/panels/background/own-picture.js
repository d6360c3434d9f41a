/** The user's own picture as the background. */

import { useState } from "preact/hooks";
import { html } from "../../../../html.js";
import { change } from "../../../../state/changes.js";
import { PictureButton, WHICH, faultOf } from "../../../background/picture-button.js";
import { useWholePage } from "../../../sheet/intake.js";

/** A place to drop or choose the picture. */
export function OwnPicture({ photo, recipe }) {
  const [wrong, setWrong] = useState("");
  const take = (file) => {
    const fault = faultOf(file);
    setWrong(fault);
    if (fault === "") change(photo, {}, file);
  };
  const isOver = useWholePage(([file]) => file !== undefined && take(file));
  const isInUse = recipe.background === "file";
  return html`<div class=${`own-picture stack ${isOver ? "over" : ""}`}>
    <p>${isInUse ? "Your picture is the background." : "Drop a picture here, or choose one."}</p>
    <${PictureButton} onPick=${take}>${isInUse ? "Choose another" : "Choose a picture"}<//>
    <p class="soft small">${WHICH}</p>
    ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
  </div>`;
}
