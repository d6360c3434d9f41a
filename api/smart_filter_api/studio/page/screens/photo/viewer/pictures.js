/** Pictures of the service, fetched once, decoded before they are shown, kept while there is room. */

import { useEffect, useState } from "preact/hooks";
import { fetchBlob } from "../../../service/api.js";

const ROOM_BYTES = 192e6;
/** By path, the one used last at the end: `{coming: a promise, picture: null until it is there}`. */
const kept = new Map();

/**
 * Return a picture: `{address, width, height, blob}`; `address` can be shown at once.
 *
 * path: of an output or a photo. Throws Problem, Away, or what says that it cannot be decoded.
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

/** Return a picture once it is there, else null; a component shows it when it comes. */
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
  }, [path]);
  return found?.path === path ? found.one : null;
}

async function decoded(path) {
  const blob = await fetchBlob(path);
  const address = URL.createObjectURL(blob);
  // Kept, because a browser may forget what it has decoded when no element shows it.
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

/** Let pictures go that were not used for longest. What is on the page stays there. */
function makeRoom() {
  let left = ROOM_BYTES;
  for (const [path, { picture: one }] of [...kept].reverse()) {
    left -= one?.blob.size ?? 0;
    if (one === null || left >= 0) continue;
    kept.delete(path);
    URL.revokeObjectURL(one.address);
  }
}
