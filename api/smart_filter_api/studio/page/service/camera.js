/** The camera: opening, closing, and errors. */

/** Messages for the browser's errors. Source: W3C Media Capture and Streams, getUserMedia. */
const REFUSALS = {
  NotAllowedError: {
    title: "This page may not use the camera",
    detail: "Allow it in the browser, next to the address, and try again.",
  },
  NotFoundError: { title: "No camera was found", detail: "Connect one, and try again." },
  NotReadableError: {
    title: "The camera is busy",
    detail: "Another program seems to be using it. Close that program, and try again.",
  },
};
const INSECURE = {
  title: "Browsers allow the camera only on secure addresses",
  detail: "Open this page over https, or as localhost on the computer where it runs.",
};
const LARGE = { width: { ideal: 1920 }, height: { ideal: 1080 } };

/**
 * Return a camera's stream, at its largest size.
 *
 * id: of one of `cameras()`; without it, or if that camera is missing, the front camera. Throws
 * `{title, detail}`: the error and its remedy.
 */
export async function openCamera(id = null) {
  if (navigator.mediaDevices === undefined) throw INSECURE;
  const one = id === null ? { facingMode: "user" } : { deviceId: { ideal: id } };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...one, ...LARGE } });
  } catch (refusal) {
    throw REFUSALS[refusal.name] ?? { title: "The camera did not open", detail: refusal.message };
  }
}

/** Close a camera, so that its light goes off. */
export function closeCamera(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** Return `[{id, name}]` of all cameras; browsers give names only after one has been opened. */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter(({ kind }) => kind === "videoinput")
    .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `Camera ${index + 1}` }));
}
