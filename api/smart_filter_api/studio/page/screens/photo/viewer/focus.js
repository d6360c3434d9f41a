/** Where the focus goes when what has it goes. */

import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * Return the ref of an element that may go while it has the focus, as when its button was pressed:
 * the picture has it then, and nobody is left nowhere.
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
