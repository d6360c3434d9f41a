/** People in the photo: smiles, moods, eyes, and the rating. */

import { useState } from "preact/hooks";
import { html } from "../../../html.js";
import { hasExpired } from "../../../state/jobs.js";
import { Lacking } from "../lacking.js";
import { Faces } from "../people/faces.js";
import { Person } from "../people/person.js";
import { Rating } from "../people/rating.js";
import { usePicture } from "../viewer/pictures.js";
import { pictured } from "../viewer/shown.js";
import { useOverlay } from "../viewer/view.js";

export const people = { id: "people", title: "People", icon: "face", Panel };

function Panel({ photo, view }) {
  const job = pictured(photo);
  const preview = usePicture(job.photo === null ? undefined : job.links.photo);
  const [faces] = useState(() => new Faces());
  faces.known = job.faces ?? [];
  useOverlay(view, faces);
  if (job.faces === null) return html`<${Unknown} job=${job} />`;
  if (job.faces.length === 0) {
    return html`<div class="notice"><div><h3>No face was found</h3>
      <p>Faces that are turned away, covered or very small are not detected. Without a face there is
        no rating.</p></div></div>`;
  }
  return html`<div class="stack people">
    ${job.rating && html`<${Rating} job=${job} />`}
    <ol class="stack">
      ${job.faces.map((face, index) => html`<${Person} key=${index} face=${face} number=${index + 1}
        job=${job} preview=${preview} view=${view} faces=${faces} />`)}
    </ol>
    <p class="small soft">Left and right are the person's own. ${job.emotions_notice}</p>
  </div>`;
}

function Unknown({ job }) {
  if (hasExpired(job)) return html`<p class="soft">The findings have expired.</p>`;
  if (job.state !== "succeeded") return html`<p class="soft">The faces are not detected yet.</p>`;
  return html`<${Lacking} job=${job} outputs=${["faces", "rating"]}>Faces and smiles were not
    requested for this photo.<//>`;
}
