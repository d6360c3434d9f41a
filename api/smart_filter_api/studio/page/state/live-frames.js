/**
 * The camera's frames on their way to the live worker, and those that may become a photo.
 *
 * Two at most are under way, so that what comes back is never old; where it takes long all the
 * same, frames become smaller. What the camera gave is far larger than what is sent: it is kept as
 * it is until the answer has come, and then, as a JPEG, only if somebody smiles in it.
 */

const UNDER_WAY = 2;
const QUALITY = 0.8;
const PHOTO_QUALITY = 0.95;
const SMILES = new Set(["moderate", "huge"]);
// The shutter speaks up to a second and a half after its frame (docs/live.md).
const KEPT_MS = 5000;
/** What share of the wanted size is sent; one step down after so many slow frames, up after quick. */
const SHARES = [1, 0.75, 0.5];
const SLOW_MS = 400;
const QUICK_MS = 150;
const SLOW_FRAMES = 15;
const QUICK_FRAMES = 120;
const FALLBACK_MS = 33;
// Numbers are unsigned 32 bit on the way; at 30 a second this begins again after four years.
let last = 0;

/**
 * Send frames of a playing video; return `{answered, photoOf, stop}`.
 *
 * send: called with a number and a JPEG. side: returns the longest side that is wanted, in pixels.
 * isKeeping: returns whether frames may be asked for by `photoOf`.
 */
export function startFrames(video, { send, side, isKeeping }) {
  const underWay = new Map();
  const kept = new Map();
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { alpha: false });
  let isOn = true;
  let isTaking = false;
  let step = 0;
  let slow = 0;
  let quick = 0;

  const take = async () => {
    const original = await createImageBitmap(video);
    const scale = Math.min(1, (SHARES[step] * side()) / Math.max(original.width, original.height));
    canvas.width = Math.round(scale * original.width);
    canvas.height = Math.round(scale * original.height);
    context.drawImage(original, 0, 0, canvas.width, canvas.height);
    const jpeg = await jpegOf(canvas, QUALITY);
    if (!isOn) return original.close();
    last += 1;
    underWay.set(last, { original, sentAt: performance.now() });
    return send(last, jpeg);
  };
  const onFrame = () => {
    if (!isOn) return;
    if (!isTaking && underWay.size < UNDER_WAY && video.videoWidth > 0) {
      isTaking = true;
      // A frame of a camera that is just closing cannot be read.
      take().catch(() => {}).finally(() => {
        isTaking = false;
      });
    }
    wait();
  };
  const wait = () => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(onFrame);
    else setTimeout(onFrame, FALLBACK_MS);
  };
  const adapt = (delay) => {
    slow = delay > SLOW_MS ? slow + 1 : 0;
    quick = delay < QUICK_MS ? quick + 1 : 0;
    if (slow < SLOW_FRAMES && quick < QUICK_FRAMES) return;
    step = Math.min(SHARES.length - 1, Math.max(0, step + (slow >= SLOW_FRAMES ? 1 : -1)));
    slow = 0;
    quick = 0;
  };
  wait();
  return {
    /** Take note of an answer; return how long it took, in ms. Frames before it have none. */
    answered(number, faces) {
      let delay = 0;
      for (const [sent, { original, sentAt }] of underWay) {
        if (sent > number) continue;
        underWay.delete(sent);
        if (sent !== number || !isKeeping() || !faces.some(isSmiling)) {
          original.close();
        } else {
          kept.set(sent, { photo: photoFrom(original), sentAt });
        }
        if (sent === number) delay = performance.now() - sentAt;
      }
      for (const [one, { sentAt }] of kept) {
        if (performance.now() - sentAt > KEPT_MS) kept.delete(one);
      }
      adapt(delay);
      return delay;
    },
    /** Return what the camera gave as a frame, a JPEG, or null when it is not kept. */
    async photoOf(number) {
      return (await kept.get(number)?.photo) ?? null;
    },
    /** Send no more. */
    stop() {
      isOn = false;
      for (const { original } of underWay.values()) original.close();
      underWay.clear();
      kept.clear();
    },
  };
}

/** Return what a video shows, as a JPEG for a photo; the original is closed by that. */
export async function photoFrom(original) {
  const canvas = document.createElement("canvas");
  canvas.width = original.width;
  canvas.height = original.height;
  canvas.getContext("2d", { alpha: false }).drawImage(original, 0, 0);
  original.close();
  return jpegOf(canvas, PHOTO_QUALITY);
}

function isSmiling(face) {
  return SMILES.has(face.smile.level);
}

function jpegOf(canvas, quality) {
  return new Promise((resolve) => {
    canvas.toBlob(resolve, "image/jpeg", quality);
  });
}
