/** Pictures of the service, fetched once, decoded before they are shown, kept while there is room. */

import { useEffect, useState } from "preact/hooks";
import { fetchBlob } from "../../../service/api.js";

const ROOM_BYTES = 192e6;
/** By path: promises of `{address, width, height, blob, element}`, the one used last at the end. */
const kept = new Map();

/**
 * Return a picture: `{address, width, height, blob}`; `address` can be shown at once.
 *
 * path: of an output or a photo. Throws Problem, Away, or what says that it cannot be decoded.
 */
export function picture(path) {
  const known = kept.get(path) ?? decoded(path);
  kept.delete(path);
  kept.set(path, known);
  return known;
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
  try {
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
    makeRoom(blob.size);
    return { address, width: element.naturalWidth, height: element.naturalHeight, blob, element };
  } catch (error) {
    kept.delete(path);
    throw error;
  }
}

/** The browser cannot show a picture. */
class Undecodable extends Error {
  title = "This browser cannot show the picture";
  remedy = "Save it, or choose another format in the panel Save.";
}

/** Let pictures go that were not used for longest. What is on the page stays there. */
async function makeRoom(bytes) {
  let left = ROOM_BYTES - bytes;
  for (const [path, known] of [...kept].reverse()) {
    const one = await Promise.race([known.catch(() => null), null]);
    if (one === null) continue;
    left -= one.blob.size;
    if (left >= 0) continue;
    kept.delete(path);
    URL.revokeObjectURL(one.address);
  }
}
