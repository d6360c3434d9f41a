/**
 * Asks regularly whether the service answers, while the page is visible.
 *
 * A proxy in front of it answers with an error when the service does not run.
 */

import { reachable } from "./api.js";

// An outage is shown within three seconds, also when the page requests nothing else.
const EVERY_MS = 2000;
// A service without an answer for this long hangs; a busy one is slower than usual.
const HUNG_MS = 5000;

/** Start asking; return a function that stops it. */
export function startHeartbeat() {
  let timer = 0;
  let isOn = true;
  const beat = async () => {
    clearTimeout(timer);
    try {
      const answer = await fetch("/livez", { cache: "no-store", signal: AbortSignal.timeout(HUNG_MS) });
      // An answer that is not read keeps its connection until the time is up.
      await answer.text();
      if (isOn) reachable.value = answer.ok;
    } catch {
      if (isOn) reachable.value = false;
    }
    if (isOn && !document.hidden) timer = setTimeout(beat, EVERY_MS);
  };
  const turned = () => !document.hidden && beat();
  document.addEventListener("visibilitychange", turned);
  timer = setTimeout(beat, EVERY_MS);
  return () => {
    isOn = false;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", turned);
  };
}
