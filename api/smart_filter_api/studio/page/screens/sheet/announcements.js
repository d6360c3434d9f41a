/** Announcements of events on the sheet for screen readers. */

import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";
import { pending } from "../../state/pending.js";
import { photos } from "../../state/photos.js";
import { counted } from "../../words.js";
import { nameOf } from "../naming.js";

const ENDS = { succeeded: "is finished", failed: "has failed" };

/** Announces finished jobs, one line at a time. */
export function Announcements() {
  const [said, say] = useState("");
  const before = useRef(null);
  const known = photos.value;
  const refused = pending.value.filter((photo) => photo.state === "refused");
  useEffect(() => {
    const states = new Map(known.map((photo) => [photo.id, photo.current.state]));
    for (const photo of refused) states.set(photo.id, "refused");
    const news = [];
    for (const photo of known) {
      const was = before.current?.get(photo.id);
      const end = ENDS[photo.current.state];
      if (end && was !== undefined && was !== photo.current.state) news.push(`${nameOf({ photo })} ${end}`);
    }
    for (const photo of refused) {
      if (before.current && before.current.get(photo.id) !== "refused") {
        news.push(`${photo.file.name}: ${photo.error.title}`);
      }
    }
    before.current = states;
    if (news.length === 0) return;
    const left = known.filter((photo) => !ENDS[photo.current.state] && photo.current.state !== "canceled");
    const rest = left.length > 0 ? ` ${counted(left.length, "photo")} to go.` : "";
    say(`${news.length > 3 ? `${counted(news.length, "photo")} have ended` : news.join(". ")}.${rest}`);
  }, [known, refused.length]);
  return html`<p class="unseen" role="status" data-news>${said}</p>`;
}
