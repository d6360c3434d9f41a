/** Takes a photo with a computer's camera. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Dialog } from "../../controls/dialog.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { closeCamera, openCamera } from "../../service/camera.js";
import { momentInWords } from "../../words.js";

const QUALITY = 0.95;

/** Dialog to take and use a photo. onTaken: called with the photo's file. */
export function Camera({ onTaken, onClose }) {
  const video = useRef(null);
  const { isLive, error, again } = useCamera(video);
  const [taken, setTaken] = useState(null);
  useEffect(() => () => taken && URL.revokeObjectURL(taken.address), [taken]);
  const take = async () => {
    const file = await photoOf(video.current);
    setTaken({ file, address: URL.createObjectURL(file) });
  };
  const use = () => {
    onTaken(taken.file);
    onClose();
  };
  return html`<${Dialog} title="Take a photo" onClose=${onClose} actions=${taken
    ? html`<${Button} icon="refresh" onClick=${() => setTaken(null)}>Again<//>
        <${Button} kind="primary" icon="check" onClick=${use}>Use it<//>`
    : html`<${Button} kind="primary" icon="camera" disabled=${!isLive} onClick=${take}>Take it<//>`}>
    ${error && html`<${Trouble} error=${error}>
      <${Button} kind="small" icon="refresh" onClick=${again}>Try again<//>
    <//>`}
    <div class="camera" hidden=${error !== null}>
      <video ref=${video} muted playsinline hidden=${taken !== null} aria-label="Camera picture" />
      ${taken && html`<img src=${taken.address} alt="The photo you took" />`}
      ${!isLive && !taken && html`<p role="status">Opening the camera…</p>`}
    </div>
  <//>`;
}

/** Show the camera in a video element: `{isLive, error, again}`. */
export function useCamera(video) {
  const [error, setError] = useState(null);
  const [isLive, setLive] = useState(false);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let isOpen = true;
    let stream = null;
    const open = async () => {
      stream = await openCamera();
      // The element was removed before the browser gave the camera.
      if (!isOpen) return closeCamera(stream);
      video.current.srcObject = stream;
      await video.current.play();
      setLive(true);
      return undefined;
    };
    setError(null);
    open().catch((refusal) => isOpen && setError(refusal));
    return () => {
      isOpen = false;
      setLive(false);
      if (stream !== null) closeCamera(stream);
    };
  }, [attempt]);
  return { isLive, error, again: () => setAttempt(attempt + 1) };
}

/** Return a promise of the photo that a video element shows, as a file. */
export function photoOf(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const name = `Taken at ${momentInWords(Date.now())}.jpg`;
  return new Promise((resolve) => {
    const done = (blob) => resolve(new File([blob], name, { type: blob.type }));
    canvas.toBlob(done, "image/jpeg", QUALITY);
  });
}
