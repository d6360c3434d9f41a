/** Moves the focus when its element is removed. */

import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * Return the ref of an element that may be removed while it has the focus, as when its button was
 * pressed: the picture then gets the focus, so that it is not lost.
 */
export function useFocusHandedOn() {
  const element = useRef(null);
  useLayoutEffect(() => {
    const { current } = element;
    return () => {
      if (!current.contains(document.activeElement)) return;
      document.querySelector(".viewer .stage")?.focus({ preventScroll: true });
    };
  }, []);
  return element;
}
