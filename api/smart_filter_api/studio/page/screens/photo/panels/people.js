/** People in the photo: smiles, moods, eyes, the rating, and which faces count. */

import { useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Trouble, say } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import {
  change,
  changeAgain,
  giveUp,
  isChanging,
  isGone,
  troubleOf,
} from "../../../state/changes.js";
import { facesCorrection } from "../../../state/corrections.js";
import { hasExpired } from "../../../state/jobs.js";
import { photos } from "../../../state/photos.js";
import { undo } from "../../../state/undo.js";
import { Lacking } from "../lacking.js";
import { Adding } from "../people/adding.js";
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
  const canChange = job.state === "succeeded" && !isGone(photo) && !isChanging(photo);
  const correct = (changes) => change(photo, {}, null, facesCorrection(changes));
  const remove = (number) => {
    correct({ remove: [number] });
    say(`The face of person ${number} does not count any more.`, {
      label: "Undo", run: () => undoIn(photo.id) });
  };
  return html`<div class="stack people">
    ${job.faces.length === 0 && html`<div class="notice"><div><h3>No face was found</h3>
      <p>Faces that are turned away, covered or very small are not detected. Without a face there is
        no rating.</p></div></div>`}
    ${job.rating && html`<${Rating} job=${job} />`}
    <ol class="stack">
      ${job.faces.map((face, index) => html`<${Person} key=${index} face=${face} number=${index + 1}
        job=${job} preview=${preview} view=${view} faces=${faces}
        onRemove=${canChange ? () => remove(index + 1) : undefined} />`)}
    </ol>
    <${Changes} photo=${photo} job=${job} view=${view} canChange=${canChange} correct=${correct} />
    ${job.faces.length > 0 && html`<p class="small soft">Left and right are the person's own.
      ${" "}${job.emotions_notice}</p>`}
  </div>`;
}

/** The buttons that add and restore faces, and the error of the last change. */
function Changes({ photo, job, view, canChange, correct }) {
  const [isAdding, setAdding] = useState(false);
  const added = job.faces.filter((face) => face.added).length;
  const trouble = troubleOf(photo);
  const isChanged = added > 0 || job.faces_removed > 0;
  const draw = (box) => {
    setAdding(false);
    correct({ add: [box] });
    say("The face is added.", { label: "Undo", run: () => undoIn(photo.id) });
  };
  return html`<div class="stack">
    ${trouble && html`<${Trouble} error=${trouble}>
      <${Button} kind="small" icon="refresh" onClick=${() => changeAgain(photo)}>Try again<//>
      <${Button} kind="small" onClick=${() => giveUp(photo)}>Leave it<//>
    <//>`}
    ${isAdding && html`<${Adding} view=${view} onDrawn=${draw} onLeave=${() => setAdding(false)} />`}
    <div class="row wrap">
      ${!isAdding && html`<${Button} kind="small" icon="add" aria-disabled=${!canChange}
        onClick=${() => canChange && setAdding(true)}>Add a face<//>`}
      ${isChanged && html`<${Button} kind="small" icon="undo" aria-disabled=${!canChange}
        onClick=${() => canChange && correct({ restore: true })}>Restore the found faces<//>
        <span class="small soft" role="status">${inWords(added, job.faces_removed)}</span>`}
    </div>
  </div>`;
}

/** Undo the last step of a photo as it is now. */
function undoIn(id) {
  const photo = photos.value.find((one) => one.id === id);
  if (photo !== undefined) undo(photo);
}

function inWords(added, removed) {
  const counts = [[added, "added"], [removed, "removed"]];
  return counts.filter(([count]) => count > 0).map((words) => words.join(" ")).join(", ");
}

function Unknown({ job }) {
  if (hasExpired(job)) return html`<p class="soft">The findings have expired.</p>`;
  if (job.state !== "succeeded") return html`<p class="soft">The faces are not detected yet.</p>`;
  return html`<${Lacking} job=${job} outputs=${["faces", "rating"]}>Faces and smiles were not
    requested for this photo.<//>`;
}
