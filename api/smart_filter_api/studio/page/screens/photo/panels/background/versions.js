/** The versions of a photo, oldest first. */

import { useEffect, useRef } from "preact/hooks";
import { NoPicture, ServiceImage } from "../../../../controls/service-image.js";
import { html } from "../../../../html.js";
import { giveUp, isChanging } from "../../../../state/changes.js";
import { show } from "../../../../state/photos.js";
import { nameOf } from "../../../background/names.js";

/** A strip of thumbnails; each returns to its version. */
export function Versions({ photo }) {
  const strip = useRef(null);
  useEffect(() => {
    const button = strip.current?.querySelector("[aria-current]");
    // scrollIntoView could also scroll the page.
    if (button) strip.current.scrollLeft = button.offsetLeft - strip.current.clientWidth / 2;
  }, [photo.current.id, photo.versions.length]);
  const made = photo.versions.filter((job) => job.state === "succeeded" && pictureOf(job));
  if (made.length < 2) return null;
  const take = (job) => {
    if (isChanging(photo)) giveUp(photo);
    show(job);
  };
  return html`<section class="stack" aria-labelledby="versions">
    <h3 id="versions">Versions</h3>
    <ol class="versions" ref=${strip}>
      ${made.map(
        (job, index) => html`<li key=${job.id}>
          <button type="button" aria-current=${job.id === photo.current.id ? "true" : undefined}
            aria-label=${`Version ${index + 1}: ${nameOf(job)}`} title=${nameOf(job)}
            onClick=${() => take(job)}>
            <${ServiceImage} class="checkerboard" src=${pictureOf(job)} alt="" loading="lazy" decoding="async"
              instead=${html`<${NoPicture} />`} />
          </button>
        </li>`,
      )}
    </ol>
  </section>`;
}

function pictureOf(job) {
  return job.outputs.thumbnail ?? job.outputs.image;
}
