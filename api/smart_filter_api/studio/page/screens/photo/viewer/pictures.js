/** Cache of pictures: fetched once, decoded before they are shown, evicted least recently used. */

import { useEffect, useState } from "preact/hooks";
import { fetchBlob, reachable } from "../../../service/api.js";

const ROOM_BYTES = 192e6;
/** By path, least recently used first: `{coming: a promise, picture: null until loaded}`. */
const kept = new Map();

/**
 * Return a picture: `{address, width, height, blob}`; `address` is decoded and can be shown at once.
 *
 * path: of an output or a photo. Throws Problem, Away, or Undecodable.
 */
export function picture(path) {
  const known = kept.get(path) ?? { coming: null, picture: null };
  kept.delete(path);
  kept.set(path, known);
  known.coming ??= decoded(path).then(
    (one) => {
      known.picture = one;
      makeRoom();
      return one;
    },
    (error) => {
      kept.delete(path);
      throw error;
    },
  );
  return known.coming;
}

/**
 * Return a picture once it is loaded, else null; the component renders again when it is.
 *
 * It is requested again when the service was unreachable and is back.
 */
export function usePicture(path) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    let isWanted = true;
    if (path !== undefined) {
      picture(path).then(
        (one) => isWanted && setFound({ path, one }),
        () => {},
      );
    }
    return () => {
      isWanted = false;
    };
  }, [path, reachable.value]);
  return found !== null && found.path === path ? found.one : null;
}

async function decoded(path) {
  const blob = await fetchBlob(path);
  const address = URL.createObjectURL(blob);
  // Keep the element: a browser may drop decoded data that no element holds.
  const element = new Image();
  element.src = address;
  try {
    await element.decode();
  } catch {
    URL.revokeObjectURL(address);
    throw new Undecodable();
  }
  return { address, width: element.naturalWidth, height: element.naturalHeight, blob, element };
}

/** The browser cannot show a picture. */
class Undecodable extends Error {
  title = "This browser cannot show the picture";
  remedy = "Save it, or choose another format in the panel Save.";
}

/** Evict the least recently used pictures. Elements on the page keep theirs. */
function makeRoom() {
  let left = ROOM_BYTES;
  for (const [path, { picture: one }] of [...kept].reverse()) {
    left -= one?.blob.size ?? 0;
    if (one === null || left >= 0) continue;
    kept.delete(path);
    URL.revokeObjectURL(one.address);
  }
}
