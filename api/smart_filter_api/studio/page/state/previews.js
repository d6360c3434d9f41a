/**
 * Small pictures of files, so that a card shows what it is about before the service has it.
 *
 * One at a time is decoded, and at the size of a card: forty photos of 50 megapixels would else
 * take eight gigabytes.
 */

import { signal } from "@preact/signals";

const SIDE_PX = 480;
const previews = new Map();
let last = Promise.resolve();

/** Return a signal of the address of a file's small picture: "" not yet, null cannot be shown. */
export function previewOf(id, file) {
  if (!previews.has(id)) {
    const address = signal("");
    previews.set(id, address);
    last = last.then(() => draw(file, address));
  }
  return previews.get(id);
}

/** Return the same of a photo whose file was given in this visit, else undefined. */
export function knownPreview(id) {
  return previews.get(id);
}

/** Forget the small picture of a photo that is no more. */
export function forgetPreview(id) {
  if (previews.get(id)?.value) URL.revokeObjectURL(previews.get(id).value);
  previews.delete(id);
}

async function draw(file, address) {
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: SIDE_PX, resizeQuality: "medium" });
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    const small = await new Promise((resolve) => canvas.toBlob(resolve, "image/webp", 0.8));
    address.value = URL.createObjectURL(small);
  } catch {
    // No picture, or one that this browser does not read, as HEIC in most.
    address.value = null;
  }
}
