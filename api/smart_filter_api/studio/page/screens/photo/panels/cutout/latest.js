/** Pictures that stay visible until the next one is loaded. */

import { useRef } from "preact/hooks";
import { usePicture } from "../../viewer/pictures.js";

/**
 * Return the latest loaded picture with its `about` of that time: `{picture, about}`, or null
 * before the first. While a version is loading, the previous one stays.
 */
export function useLatestPicture(path, about) {
  const picture = usePicture(path);
  const latest = useRef(null);
  if (picture !== null && picture !== latest.current?.picture) latest.current = { picture, about };
  return latest.current;
}
