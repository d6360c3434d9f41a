/** The stand: take a photo, see the picture large, and begin again by itself. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { reachable } from "../../service/api.js";
import { ACCEPTED } from "../../service/formats.js";
import { isFinal } from "../../state/jobs.js";
import { add, again, drop, pending } from "../../state/pending.js";
import { allPhotos } from "../../state/outlines.js";
import { Handing } from "../photo/save/handing.js";
import { usePicture } from "../photo/viewer/pictures.js";
import { photoOf, useCamera } from "../sheet/camera.js";

const COUNT_FROM = 3;
const SECOND_MS = 1000;

/**
 * recipe: a saved one, as `GET /v1/recipes` lists it. seconds: how long a picture, or an error, stays
 * unless someone touches the screen.
 */
export function Stand({ recipe, seconds }) {
  const video = useRef(null);
  const picker = useRef(null);
  const camera = useCamera(video);
  const [shot, setShot] = useState(null);
  const begin = (file) => {
    const fields = {
      recipe: recipe.name,
      outputs: "image,thumbnail",
      priority: "interactive",
      // The quick outline, for small machines; the recipe can say otherwise.
      ...("edge" in recipe.recipe ? {} : { edge: "fast" }),
    };
    const [id] = add([file], fields);
    setShot({ id, address: URL.createObjectURL(file) });
  };
  const end = () => setShot(null);
  useEffect(() => () => shot && URL.revokeObjectURL(shot.address), [shot]);
  const picked = (event) => {
    const [file] = event.currentTarget.files;
    if (file !== undefined) begin(file);
    event.currentTarget.value = "";
  };
  return html`<div class="booth">
    <video ref=${video} class="booth-picture mirrored" muted playsinline aria-label="Camera picture"
      hidden=${shot !== null || camera.error !== null} />
    ${shot && html`<${Shot} key=${shot.id} shot=${shot} seconds=${seconds} onEnd=${end} />`}
    ${!shot && html`
      ${camera.error && html`<div class="booth-words"><${Trouble} error=${camera.error}>
        <${Button} kind="small" icon="refresh" onClick=${camera.again}>Try again<//><//></div>`}
      <div class="booth-bar">
        ${camera.error === null && html`<${Shutter} isLive=${camera.isLive}
          onShoot=${async () => begin(await photoOf(video.current))} />`}
        <${Button} icon="upload" onClick=${() => picker.current.click()}>Choose a photo<//>
      </div>`}
    <input ref=${picker} type="file" accept=${ACCEPTED} hidden data-way="pick" onChange=${picked} />
  </div>`;
}

/** The button that counts down and takes the photo. */
function Shutter({ isLive, onShoot }) {
  const [left, setLeft] = useState(null);
  useEffect(() => {
    // The next guest may have a keyboard or a remote release, which presses Enter or Space.
    if (isLive) document.querySelector(".shutter")?.focus();
  }, [isLive]);
  useEffect(() => {
    if (left === null) return undefined;
    if (left === 0) {
      onShoot();
      return undefined;
    }
    const timer = setTimeout(() => setLeft(left - 1), SECOND_MS);
    return () => clearTimeout(timer);
  }, [left]);
  return html`<p class="booth-count" role="status" aria-live="assertive">${left || ""}</p>
    <${Button} kind="primary shutter" icon="camera" aria-disabled=${!isLive || left !== null}
      onClick=${() => isLive && left === null && setLeft(COUNT_FROM)}>Take a photo<//>`;
}

/** A photo that was taken, its picture once it is finished, or why there is none. */
function Shot({ shot, seconds, onEnd }) {
  const waiting = pending.value.find((one) => one.id === shot.id);
  const job = allPhotos.value.find((one) => one.id === shot.id)?.current;
  const error = waiting?.error ?? job?.error ?? null;
  const isDone = job?.state === "succeeded";
  const picture = usePicture(isDone ? job.outputs.image : undefined);
  const isOver = picture !== null || error !== null || (job !== undefined && isFinal(job) && !isDone);
  const leave = () => {
    if (waiting?.state === "refused") drop(shot.id);
    onEnd();
  };
  return html`
    <img class=${`booth-picture ${picture ? "" : "faint"}`} src=${picture?.address ?? shot.address}
      alt=${picture ? "Your picture" : "Your photo"} />
    ${!picture && !error && html`<p class="booth-words" role="status">${reachable.value
      ? "Making your picture"
      : "The service cannot be reached. Your picture is made when it is back."}</p>`}
    ${error && html`<div class="booth-words"><${Trouble} error=${error}>
      ${waiting && html`<${Button} kind="small" icon="refresh" onClick=${() => again(shot.id)}>
        Try again<//>`}<//></div>`}
    ${isOver && html`<${Leaving} seconds=${seconds} onEnd=${leave}>${picture && html`<${Handing} job=${job} isGuest />`}<//>`}`;
}

/** The way back, which is also taken by itself when the screen is left alone. */
function Leaving({ seconds, onEnd, children }) {
  const [touched, setTouched] = useState(() => Date.now());
  const [now, setNow] = useState(touched);
  useEffect(() => {
    const leaving = setTimeout(onEnd, seconds * SECOND_MS);
    const ticking = setInterval(() => setNow(Date.now()), SECOND_MS);
    return () => {
      clearTimeout(leaving);
      clearInterval(ticking);
    };
  }, [touched]);
  useEffect(() => {
    const stay = () => {
      setTouched(Date.now());
      setNow(Date.now());
    };
    const heard = ["pointerdown", "keydown"];
    for (const name of heard) addEventListener(name, stay);
    document.querySelector(".booth-next")?.focus();
    return () => {
      for (const name of heard) removeEventListener(name, stay);
    };
  }, []);
  return html`<div class="booth-bar">
    ${children}
    <${Button} kind="primary booth-next" icon="camera" onClick=${onEnd}>Next photo
      ${" "}<span class="figures" aria-hidden="true">${seconds - Math.floor((now - touched) / SECOND_MS)}</span><//>
  </div>`;
}
