/** Pictures that stay until the next is there. */

import { useRef } from "preact/hooks";
import { usePicture } from "../../viewer/pictures.js";

/**
 * Return the latest picture that has come, with what was said of it then: `{picture, about}`, or
 * null before there is any. A version that is being fetched does not leave a hole meanwhile.
 */
export function useLatestPicture(path, about) {
  const picture = usePicture(path);
  const latest = useRef(null);
  if (picture !== null && picture !== latest.current?.picture) latest.current = { picture, about };
  return latest.current;
}
