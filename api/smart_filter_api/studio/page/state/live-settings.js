/** The user's settings of live video; the browser stores all but an own picture. */

import { signal } from "@preact/signals";
import { readStored, store } from "../service/stored.js";

const PLACE = "smart-filter.live";
const FIRST = {
  spec: "auto",
  cameraId: null,
  isMirrored: true,
  side: 640,
  hasOverlays: true,
  isShutterOn: false,
};
/** Background until the picture has arrived at the live worker. */
const BEFORE_PICTURE = "blur:0.6";
// Limit of the live worker, and more than a frame shows.
const PICTURE_SIDE = 1600;
const PICTURE_QUALITY = 0.9;

/**
 * `spec`: the background, as in a recipe. `picture`: the user's own, `{file, small}`, else null.
 * `side`: the longest side of the frames, in pixels.
 */
export const settings = signal({ ...FIRST, ...readStored("localStorage", PLACE), picture: null });

/** Change settings. */
export function changeSettings(changed) {
  settings.value = { ...settings.value, ...changed };
  const { picture, ...kept } = settings.value;
  if (picture) kept.spec = FIRST.spec;
  store("localStorage", PLACE, kept);
}

/** Change the background, as in a recipe. */
export function setBackground(spec) {
  changeSettings({ spec, picture: null });
}

/** Use the user's own picture as the background. Throws the browser's error for an unreadable file. */
export async function setPicture(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, PICTURE_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * bitmap.width));
  canvas.height = Math.max(1, Math.round(scale * bitmap.height));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const small = await new Promise((resolve) => {
    canvas.toBlob(resolve, "image/jpeg", PICTURE_QUALITY);
  });
  changeSettings({ spec: "file", picture: { file, small } });
}

/** Forget the user's own picture. */
export function forgetPicture() {
  if (settings.peek().picture) setBackground(FIRST.spec);
}

/** Return the background in the form that a connection takes. */
export function backgroundToSend() {
  const { spec, picture } = settings.value;
  return picture ? { spec: BEFORE_PICTURE, picture: picture.small } : { spec, picture: null };
}
