/** Live video: from the camera by way of the live worker onto the stage, and photos out of it. */

import { effect, signal } from "@preact/signals";
import { closeCamera, openCamera } from "../service/camera.js";
import { connect } from "../service/live-socket.js";
import { Away, Problem, isPassing } from "../service/problems.js";
import { momentInWords } from "../words.js";
import { photoFrom, startFrames } from "./live-frames.js";
import { backgroundWished, forgetPicture, wishes } from "./live-wishes.js";
import { add } from "./pending.js";
import { session } from "./session.js";
import { OUTPUTS } from "./wanted.js";

const FIRST_PAUSE_MS = 1000;
const MOST_PAUSE_MS = 15_000;
const FULL_PAUSE_MS = 10_000;
const SMOOTHED = 0.1;
// Ends of a connection (docs/live.md).
const NOT_UNDERSTOOD = 4400;
const FULL = 4429;

/**
 * `{state, error}`. state: "off", "asking" (for the camera), "connecting", "on", "lost" (it is
 * tried again by itself, and error says what happened), "paused" (nobody looks), "failed".
 */
export const live = signal({ state: "off", error: null });
/** What came back last: `{frame, width, height, faces, rating, bitmap}`, else null. */
export const seen = signal(null);
/** `{perSecond, delayMs}` of what comes back, smoothed. */
export const pace = signal({ perSecond: 0, delayMs: 0 });
/** What the service has chosen to stand behind people: `{name, reason}`, else null. */
export const chosen = signal(null);
/** Ids of the photos that were taken in this visit, the newest first. */
export const shots = signal([]);
/** How many were taken: it changes when one is. */
export const taken = signal(0);

/** What runs: `{video, stop}`. */
let running = null;

// Whoever signs in next sees nothing of it.
effect(() => {
  if (session.value.state === "in") return;
  shots.value = [];
  taken.value = 0;
  forgetPicture();
});

/** Begin, with the camera's picture in a video element; return when it has begun or failed. */
export async function start(video) {
  stop();
  const ending = new AbortController();
  running = { video, stop: () => ending.abort() };
  const tell = (state, error = null) => {
    if (!ending.signal.aborted) live.value = { state, error };
  };
  const fail = (error) => {
    if (ending.signal.aborted) return;
    stop();
    live.value = { state: "failed", error };
  };
  tell("asking");
  let stream;
  try {
    stream = await openCamera(wishes.value.cameraId);
  } catch (error) {
    fail(error);
    return undefined;
  }
  if (ending.signal.aborted) return closeCamera(stream);
  ending.signal.addEventListener("abort", () => closeCamera(stream));
  for (const track of stream.getTracks()) {
    track.addEventListener("ended", () =>
      fail({
        title: "The camera is gone",
        detail: "It was unplugged, or something else has taken it.",
        remedy: "Connect it, and start again.",
      }),
    );
  }
  video.srcObject = stream;
  // It rejects when the page is left before it plays.
  await video.play().catch(() => {});
  return keepConnected(video, ending.signal, { tell, fail });
}

/** End it; the camera is closed. */
export function stop(state = "off") {
  running?.stop();
  running = null;
  seen.value?.bitmap.close();
  seen.value = null;
  chosen.value = null;
  pace.value = { perSecond: 0, delayMs: 0 };
  live.value = { state, error: null };
}

/** Take what the camera shows now. */
export async function shoot() {
  const background = backgroundOfShot();
  const blob = await photoFrom(await createImageBitmap(running.video));
  submit(blob, background);
}

async function keepConnected(video, ending, { tell, fail }) {
  let broken = 0;
  while (!ending.aborted) {
    if (broken === 0) tell("connecting");
    const end = await connection(video, ending, () => tell("on"));
    if (ending.aborted) return;
    broken = end.wasReady ? 1 : broken + 1;
    const error = errorOf(end, broken);
    if (end.code === NOT_UNDERSTOOD || (error instanceof Problem && !isPassing(error))) {
      fail(error);
      return;
    }
    tell("lost", error);
    const backoff = Math.min(MOST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (broken - 1));
    await pause(end.code === FULL ? FULL_PAUSE_MS : backoff, ending);
  }
}

/** Hold one connection; return how it ended. */
function connection(video, ending, onReady) {
  return new Promise((resolve) => {
    let frames = null;
    let wasReady = false;
    let stopListening = () => {};
    const finish = (end) => {
      stopListening();
      frames?.stop();
      socket.close();
      ending.removeEventListener("abort", leave);
      resolve({ ...end, wasReady });
    };
    const leave = () => finish({});
    const socket = connect(backgroundWished(), {
      onReady() {
        wasReady = true;
        onReady();
        frames = startFrames(video, {
          send: socket.send,
          side: () => wishes.value.side,
          isKeeping: () => wishes.value.isShutterOn,
        });
        stopListening = whenWishedAnew(socket.change);
      },
      async onFrame(told, jpeg) {
        measure(frames.answered(told.frame, told.faces));
        const bitmap = await createImageBitmap(jpeg);
        // Decoded side by side, they may come out of order, or after the end.
        if (ending.aborted || told.frame < (seen.value?.frame ?? 0)) return bitmap.close();
        seen.value?.bitmap.close();
        seen.value = { ...told, bitmap };
        return undefined;
      },
      async onShutter({ frame }) {
        if (!wishes.value.isShutterOn) return;
        const background = backgroundOfShot();
        const blob = await frames.photoOf(frame);
        if (blob !== null) submit(blob, background);
      },
      onBackground({ background, name, reason }) {
        // It may be told of a choice when something else is wanted already.
        if (background === "auto" && wishes.value.spec === "auto") {
          chosen.value = name && { name, reason };
        }
      },
      onError(told) {
        // A frame that could not be read is followed by others; a background is worth a word.
        if (told.frame === undefined) {
          live.value = { state: "on", error: { title: "The background stays as it is", detail: told.detail } };
        }
      },
      onEnd: finish,
    });
    ending.addEventListener("abort", leave);
  });
}

/** Call with the background whenever another one is wanted; return a function that ends that. */
function whenWishedAnew(change) {
  let former = wishes.peek();
  return effect(() => {
    const { spec, picture } = wishes.value;
    if (spec === former.spec && picture === former.picture) return;
    former = wishes.peek();
    chosen.value = null;
    if (live.peek().error) live.value = { state: "on", error: null };
    change(picture ? { picture: picture.small } : { spec });
  });
}

/** Return fields of a recipe that puts the same behind people as is shown. */
function backgroundOfShot() {
  const { spec, picture } = wishes.value;
  if (picture) return { background: "file", background_file: picture.file };
  // What was chosen for the film is what somebody saw, and smiled before.
  return { background: chosen.value ? `preset:${chosen.value.name}` : spec };
}

function submit(blob, background) {
  const clock = momentInWords(Date.now());
  const file = new File([blob], `Live at ${clock}.jpg`, { type: blob.type });
  shots.value = [...add([file], { ...background, outputs: OUTPUTS }), ...shots.value];
  taken.value += 1;
}

let answeredAt = 0;

function measure(delayMs) {
  const now = performance.now();
  const between = now - answeredAt;
  answeredAt = now;
  const { perSecond, delayMs: former } = pace.value;
  const first = perSecond === 0;
  const mean = (before, value) => (first ? value : before + SMOOTHED * (value - before));
  pace.value = {
    perSecond: between > 5000 ? 0 : 1000 / mean(1000 / (perSecond || 1), between),
    delayMs: mean(former, delayMs),
  };
}

function errorOf({ error, code, reason, address }, broken) {
  if (error?.code === "not_available") {
    return new Problem({
      status: error.status,
      code: error.code,
      title: "This service has no live video",
      detail: "No live worker is set up here. Photos work all the same.",
      remedy: "Whoever runs the service can add one: smart-filter up starts it by itself.",
    });
  }
  if (error !== undefined) return error instanceof Problem ? error : new Away();
  if (code === FULL) {
    return {
      title: "All places of live video are taken",
      detail: "Close it in other tabs or windows. This page tries again every ten seconds.",
    };
  }
  if (code === NOT_UNDERSTOOD) {
    return { title: "The live worker did not understand this page", detail: reason };
  }
  return {
    title: broken > 2 ? "The live worker cannot be reached" : "Live video broke off",
    detail:
      broken > 2
        ? `Nobody answers at ${address}, where the service says that it is. The page goes on trying.`
        : "The connection to the live worker ended. The page connects again by itself.",
  };
}

function pause(ms, ending) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    ending.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
