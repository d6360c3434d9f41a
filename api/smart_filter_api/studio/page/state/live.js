/** Live video: from the camera through the live worker to the stage, and photos from it. */

import { effect, signal } from "@preact/signals";
import { closeCamera, openCamera } from "../service/camera.js";
import { connect } from "../service/live-socket.js";
import { Away, Problem, isPassing } from "../service/problems.js";
import { momentInWords } from "../words.js";
import { photoFrom, startFrames } from "./live-frames.js";
import { backgroundToSend, forgetPicture, settings } from "./live-settings.js";
import { add } from "./pending.js";
import { session } from "./session.js";
import { OUTPUTS } from "./wanted.js";

const FIRST_PAUSE_MS = 1000;
const MOST_PAUSE_MS = 15_000;
const FULL_PAUSE_MS = 10_000;
const SMOOTHED = 0.1;
// Close codes of a connection (docs/live.md).
const NOT_UNDERSTOOD = 4400;
const FULL = 4429;

/**
 * `{state, error}`. state: "off", "asking" (for the camera), "connecting", "on", "lost" (reconnects
 * automatically; error says why), "paused" (the page is hidden), "failed".
 */
export const live = signal({ state: "off", error: null });
/** The latest result: `{frame, width, height, faces, rating, bitmap}`, else null. */
export const seen = signal(null);
/** `{perSecond, delayMs}` of the results, smoothed. */
export const pace = signal({ perSecond: 0, delayMs: 0 });
/** The background that the service has chosen: `{name, reason}`, else null. */
export const chosen = signal(null);
/** Ids of the photos taken in this visit, newest first. */
export const shots = signal([]);
/** Number of photos taken; changes with each photo. */
export const taken = signal(0);

/** The running video: `{video, stop}`. */
let running = null;

// The next user must not see this session's video.
effect(() => {
  if (session.value.state === "in") return;
  shots.value = [];
  taken.value = 0;
  forgetPicture();
});

/** Start with the camera's picture in a video element; return when it has started or failed. */
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
    stream = await openCamera(settings.value.cameraId);
  } catch (error) {
    fail(error);
    return undefined;
  }
  if (ending.signal.aborted) return closeCamera(stream);
  ending.signal.addEventListener("abort", () => closeCamera(stream));
  for (const track of stream.getTracks()) {
    track.addEventListener("ended", () =>
      fail({
        title: "The camera is disconnected",
        detail: "It was unplugged, or another program uses it.",
        remedy: "Connect it, and start again.",
      }),
    );
  }
  video.srcObject = stream;
  // play() rejects when the page is left before it starts.
  await video.play().catch(() => {});
  return keepConnected(video, ending.signal, { tell, fail });
}

/** Stop, and close the camera. */
export function stop(state = "off") {
  running?.stop();
  running = null;
  seen.value?.bitmap.close();
  seen.value = null;
  chosen.value = null;
  pace.value = { perSecond: 0, delayMs: 0 };
  live.value = { state, error: null };
}

/** Take a photo of the current camera picture. */
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

/** Run one connection; return how it ended. */
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
    const socket = connect(backgroundToSend(), {
      onReady() {
        wasReady = true;
        onReady();
        frames = startFrames(video, {
          send: socket.send,
          side: () => settings.value.side,
          isKeeping: () => settings.value.isShutterOn,
        });
        stopListening = onBackgroundChange(socket.change);
      },
      async onFrame(fields, jpeg) {
        measure(frames.answered(fields.frame, fields.faces));
        const bitmap = await createImageBitmap(jpeg);
        // Frames are decoded in parallel, so they may finish out of order, or after the end.
        if (ending.aborted || fields.frame < (seen.value?.frame ?? 0)) return bitmap.close();
        seen.value?.bitmap.close();
        seen.value = { ...fields, bitmap };
        return undefined;
      },
      async onShutter({ frame }) {
        if (!settings.value.isShutterOn) return;
        const background = backgroundOfShot();
        const blob = await frames.photoOf(frame);
        if (blob !== null) submit(blob, background);
      },
      onBackground({ background, name, reason }) {
        // The choice may arrive after the user has changed the background.
        if (background === "auto" && settings.value.spec === "auto") {
          chosen.value = name && { name, reason };
        }
      },
      onError(fields) {
        // An unreadable frame is followed by others; only an error of the background is shown.
        if (fields.frame === undefined) {
          live.value = { state: "on", error: { title: "The background is unchanged", detail: fields.detail } };
        }
      },
      onEnd: finish,
    });
    ending.addEventListener("abort", leave);
  });
}

/** Call with the background whenever the user changes it; return a function that stops that. */
function onBackgroundChange(change) {
  let former = settings.peek();
  return effect(() => {
    const { spec, picture } = settings.value;
    if (spec === former.spec && picture === former.picture) return;
    former = settings.peek();
    chosen.value = null;
    if (live.peek().error) live.value = { state: "on", error: null };
    change(picture ? { picture: picture.small } : { spec });
  });
}

/** Return recipe fields for the background that is shown. */
function backgroundOfShot() {
  const { spec, picture } = settings.value;
  if (picture) return { background: "file", background_file: picture.file };
  // Use the design chosen for the video, because the user saw it.
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
      detail: "No live worker is set up here. Photos still work.",
      remedy: "The operator of the service can add one: smart-filter up starts one by default.",
    });
  }
  if (error !== undefined) return error instanceof Problem ? error : new Away();
  if (code === FULL) {
    return {
      title: "The live video limit is reached",
      detail: "Close it in other tabs or windows. This page tries again every ten seconds.",
    };
  }
  if (code === NOT_UNDERSTOOD) {
    return { title: "The live worker did not understand this page", detail: reason };
  }
  return {
    title: broken > 2 ? "The live worker cannot be reached" : "The live video was interrupted",
    detail:
      broken > 2
        ? `No answer from ${address}, the address of the live worker. The page keeps trying.`
        : "The connection to the live worker ended. The page reconnects automatically.",
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
