/** What photos are called. */

import { momentInWords } from "../words.js";

/**
 * Return what an entry of the sheet is called: one that is being sent, or a photo of state/photos.js.
 *
 * What came by a program may have no name: such photos are told apart by when they came.
 */
export function nameOf({ sending, photo }) {
  if (sending) return sending.file.name;
  return photo.current.metadata.name ?? `Photo of ${momentInWords(photo.versions[0].created_at)}`;
}
