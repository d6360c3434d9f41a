/** The camera: opened, closed, and why a browser does not lend it. */

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
const LARGE = { width: { ideal: 1920 }, height: { ideal: 1080 } };

/**
 * Return a camera's stream, as large as it gives.
 *
 * id: of one of `cameras()`; without it, or when it is there no more, one that looks at whoever
 * sits before it. Throws `{title, detail}`: what is in the way, and what to do.
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

/** Let a camera go, so that its light goes out. */
export function closeCamera(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** Return `[{id, name}]` of all cameras; browsers tell names once one has been opened. */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter(({ kind }) => kind === "videoinput")
    .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `Camera ${index + 1}` }));
}
