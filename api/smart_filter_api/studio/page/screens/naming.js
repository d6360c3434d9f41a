/** Names of photos. */

import { momentInWords } from "../words.js";

/**
 * Return the name of an entry of the sheet: a photo being sent, or one of state/photos.js.
 *
 * A photo submitted by a program may have no name: its name is then the time of its submission.
 */
export function nameOf({ sending, photo }) {
  if (sending) return sending.file.name;
  const { metadata, photo_name: name } = photo.current;
  return metadata.name ?? name ?? `Photo of ${momentInWords(photo.versions[0].created_at)}`;
}
