/**
 * Thumbnails of local files, shown on a card before the service has the photo.
 *
 * One file at a time is decoded, at the size of a card: forty photos of 50 megapixels would
 * otherwise take eight gigabytes.
 */

import { signal } from "@preact/signals";

const SIDE_PX = 480;
const previews = new Map();
let last = Promise.resolve();

/** Return a signal of the address of a file's thumbnail: "" while loading, null if unreadable. */
export function previewOf(id, file) {
  if (!previews.has(id)) {
    const address = signal("");
    previews.set(id, address);
    last = last.then(() => draw(file, address));
  }
  return previews.get(id);
}

/** Return the same for a photo whose file was given in this visit, else undefined. */
export function knownPreview(id) {
  return previews.get(id);
}

/** Forget the thumbnail of a removed photo. */
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
    // Not a picture, or a format that this browser cannot read, as HEIC in most.
    address.value = null;
  }
}
