/**
 * Camera frames sent to the live worker, and the originals of those that may become a photo.
 *
 * At most two are in flight, so that results are recent; if they still take long, frames get smaller.
 * The camera's frame is far larger than the sent one. It is kept until the result arrives, and after
 * that, as a JPEG, only if a face in it smiles.
 */

const UNDER_WAY = 2;
const QUALITY = 0.8;
const PHOTO_QUALITY = 0.95;
const SMILES = new Set(["moderate", "huge"]);
// The shutter message comes up to 1.5 s after its frame (docs/live.md).
const KEPT_MS = 5000;
/** Shares of the wanted size: one step down after several slow frames, up after quick ones. */
const SHARES = [1, 0.75, 0.5];
const SLOW_MS = 400;
const QUICK_MS = 150;
const SLOW_FRAMES = 15;
const QUICK_FRAMES = 120;
const FALLBACK_MS = 33;
// Numbers are unsigned 32 bit in the protocol; at 30 per second they wrap after four years.
let last = 0;

/**
 * Send frames of a playing video; return `{answered, photoOf, stop}`.
 *
 * send: called with a number and a JPEG. side: returns the wanted longest side, in pixels.
 * isKeeping: returns whether `photoOf` may ask for frames.
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
      // A frame of a camera that is closing cannot be read.
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
    /** Record a result; return its round-trip time in ms. Earlier frames count as dropped. */
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
    /** Return the original of a frame as a JPEG, or null when it is not kept. */
    async photoOf(number) {
      return (await kept.get(number)?.photo) ?? null;
    },
    /** Stop sending. */
    stop() {
      isOn = false;
      for (const { original } of underWay.values()) original.close();
      underWay.clear();
      kept.clear();
    },
  };
}

/** Return a video's current frame as a JPEG for a photo; closes the original. */
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
