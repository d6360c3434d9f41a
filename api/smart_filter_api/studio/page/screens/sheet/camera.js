/** A photo from the camera of a computer. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Dialog } from "../../controls/dialog.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { momentInWords } from "../../words.js";

const QUALITY = 0.95;
const WISH = {
  audio: false,
  video: { facingMode: "user", width: { ideal: 1920 }, height: { ideal: 1080 } },
};
/** What the browser's refusals mean. Source: W3C Media Capture and Streams, getUserMedia. */
const REFUSALS = {
  NotAllowedError: {
    title: "This page may not use the camera",
    detail: "Allow it in the browser, beside the address, and try again.",
  },
  NotFoundError: { title: "No camera was found", detail: "Connect one, and try again." },
  NotReadableError: {
    title: "The camera is busy",
    detail: "Another program seems to be using it. Close that one, and try again.",
  },
};
const INSECURE = {
  title: "Browsers lend the camera to safe addresses alone",
  detail: "Open this page by https, or as localhost on the computer that it runs on.",
};

/** Look, take, use. onTaken: called with the photo's file. */
export function Camera({ onTaken, onClose }) {
  const video = useRef(null);
  const [error, setError] = useState(null);
  const [isLive, setLive] = useState(false);
  const [taken, setTaken] = useState(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let isOpen = true;
    let stream = null;
    const open = async () => {
      if (navigator.mediaDevices === undefined) throw { name: "insecure" };
      stream = await navigator.mediaDevices.getUserMedia(WISH);
      // Closed while the browser was still asking.
      if (!isOpen) return stop(stream);
      video.current.srcObject = stream;
      await video.current.play();
      setLive(true);
      return undefined;
    };
    setError(null);
    open().catch((refusal) => isOpen && setError(wordsOf(refusal)));
    return () => {
      isOpen = false;
      setLive(false);
      if (stream !== null) stop(stream);
    };
  }, [attempt]);
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
      <${Button} kind="small" icon="refresh" onClick=${() => setAttempt(attempt + 1)}>Try again<//>
    <//>`}
    <div class="camera" hidden=${error !== null}>
      <video ref=${video} muted playsinline hidden=${taken !== null} aria-label="What the camera sees" />
      ${taken && html`<img src=${taken.address} alt="The photo that was taken" />`}
      ${!isLive && !taken && html`<p role="status">Opening the camera…</p>`}
    </div>
  <//>`;
}

function photoOf(video) {
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

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

function wordsOf(refusal) {
  if (refusal.name === "insecure") return INSECURE;
  return REFUSALS[refusal.name] ?? { title: "The camera did not open", detail: refusal.message };
}
