/**
 * Checks of a file before it is sent, as far as a browser can do them.
 *
 * Uses the service's codes and messages (docs/problems); the service checks the pixels.
 */

import { sizeInWords } from "../words.js";
import { Problem } from "./problems.js";

/** Types for a file dialog. */
export const ACCEPTED =
  "image/jpeg,image/png,image/webp,image/avif,image/heic,image/heif," +
  "image/gif,image/bmp,image/tiff";

/** Bytes of a photo; MAX_PHOTO_BYTES of the service. */
export const MOST_BYTES = 40_000_000;
const SIGNATURE_BYTES = 32;
const NAMED_AS_PICTURES = /\.(jpe?g|png|webp|avif|hei[cf]|gif|bmp|tiff?)$/i;
// Brands of ISO/IEC 14496-12 files with still pictures: AVIF, and HEIC of ISO/IEC 23008-12.
const STILLS = ["avif", "avis", "heic", "heix", "heim", "heis", "hevc", "mif1", "msf1"];

/** Return the Problem with a file, or null. Throws when it cannot be read (a folder, say). */
export async function faultOf(file) {
  const start = new Uint8Array(await file.slice(0, SIGNATURE_BYTES).arrayBuffer());
  if (start.length === 0) return unsupported("The file is empty.");
  if (!isPicture(start)) return unsupported("This file is not a readable photo.");
  if (file.size > MOST_BYTES) {
    return new Problem({
      status: 413,
      code: "photo_too_large",
      title: "The photo is too large",
      detail: `It has ${sizeInWords(file.size)}; at most ${MOST_BYTES / 1e6} MB are accepted.`,
      remedy: "Scale the picture down, or encode it with a lower quality.",
    });
  }
  return null;
}

/** Return whether a file of a folder is a photo, by its name. */
export function looksLikePhoto(file) {
  return NAMED_AS_PICTURES.test(file.name);
}

function isPicture(start) {
  const text = String.fromCharCode(...start);
  return (
    text.startsWith("\xff\xd8\xff") ||
    ["\x89PNG\r\n\x1a\n", "GIF8", "BM", "II*\0", "MM\0*"].some((magic) => text.startsWith(magic)) ||
    (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") ||
    (text.slice(4, 8) === "ftyp" && STILLS.some((brand) => text.slice(8).includes(brand)))
  );
}

function unsupported(detail) {
  return new Problem({
    status: 415,
    code: "unsupported_media",
    title: "Not an accepted picture",
    detail,
    remedy: "Choose a JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF photo.",
  });
}
