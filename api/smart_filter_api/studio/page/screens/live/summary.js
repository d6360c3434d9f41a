/** Periodic summary of the detected faces for screen readers. */

import { useEffect, useState } from "preact/hooks";
import { html } from "../../html.js";
import { live, seen, taken } from "../../state/live.js";
import { counted } from "../../words.js";
import { facesInWords } from "./words.js";

// Minimum interval; more often it would interrupt all other announcements.
const EVERY_MS = 5000;

export function Summary() {
  const [said, say] = useState("");
  const isOn = live.value.state === "on";
  useEffect(() => {
    if (!isOn) return undefined;
    const timer = setInterval(() => seen.value && say(facesInWords(seen.value.faces)), EVERY_MS);
    return () => clearInterval(timer);
  }, [isOn]);
  const count = taken.value;
  return html`<div class="unseen">
    <p role="status">${isOn ? said : ""}</p>
    <p role="status">${count > 0 ? `${counted(count, "photo")} taken.` : ""}</p>
  </div>`;
}
