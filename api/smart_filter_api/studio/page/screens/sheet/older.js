/** What is older than what was read: it comes by itself when somebody scrolls to it. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { hasOlder, loadOlder } from "../../state/jobs.js";
import { isNarrowed } from "./entries.js";

/** shown: how many cards there are; more are looked for as long as the end is in sight. */
export function Older({ shown }) {
  const element = useRef(null);
  const [isReading, setReading] = useState(false);
  const read = async () => {
    setReading(true);
    try {
      await loadOlder();
    } catch (error) {
      sayTrouble(error);
    }
    setReading(false);
  };
  const reads = hasOlder.value && !isReading;
  // A narrowed sheet may show nothing of a hundred pages: there somebody has to ask.
  const readsAlone = reads && !isNarrowed.value;
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
      ${isReading ? "Reading…" : isNarrowed.value ? "Look further back" : "Show older ones"}<//>
  </p>`;
}
