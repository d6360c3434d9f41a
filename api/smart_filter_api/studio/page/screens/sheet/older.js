/** Loads older photos when the end of the sheet is scrolled into view. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { isDeleting } from "../../state/deleting.js";
import { hasOlder, loadOlder } from "../../state/jobs.js";
import { isNarrowed, narrowed } from "./entries.js";

/** shown: the number of cards; more are loaded while the end of the sheet is visible. */
export function Older({ shown }) {
  const element = useRef(null);
  const [isReading, setReading] = useState(false);
  const read = async () => {
    setReading(true);
    try {
      // A search goes on until something matches.
      do await loadOlder();
      while (hasOlder.value && isNarrowed.value && narrowed.value.length === shown);
    } catch (error) {
      sayTrouble(error);
    }
    setReading(false);
  };
  const reads = hasOlder.value && !isReading;
  // A filter may hide all of many pages: load them only on request.
  const readsAlone = reads && !isNarrowed.value && !isDeleting.value;
  useEffect(() => {
    if (!readsAlone) return undefined;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (entry.isIntersecting) read();
      },
      { rootMargin: "600px" },
    );
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [readsAlone, shown]);
  if (!hasOlder.value) return null;
  return html`<p class="row older" ref=${element}>
    <${Button} disabled=${isReading} onClick=${read}>
      ${isReading ? "Reading…" : isNarrowed.value ? "Search older ones" : "Show older ones"}<//>
  </p>`;
}
