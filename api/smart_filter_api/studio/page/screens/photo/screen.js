/** One photo: the picture at large, and panels with all that can be told and changed. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Tabs } from "../../controls/choices.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { ask } from "../../service/api.js";
import { Problem } from "../../service/problems.js";
import { find, isLoaded, put } from "../../state/jobs.js";
import { photoIdOf, photos } from "../../state/photos.js";
import { Header } from "./header.js";
import { panels } from "./panels/all.js";
import { UndoButtons } from "./undo.js";
import { Viewer } from "./viewer.js";
import { View } from "./viewer/view.js";

const GONE = {
  title: "This photo is not here any more",
  detail: "It was deleted, or belongs to somebody else.",
};

/** The screen of a photo. words: its id. Panels are given `photo` and the viewer's `view`. */
export function PhotoScreen({ words: [id] }) {
  const photo = photos.value.find((one) => one.id === id);
  const { error, again } = useFinding(id, photo);
  const [chosen, choose] = useState(panels[0].id);
  const [view] = useState(() => new View());
  if (photo === undefined) return html`<${Missing} error=${error} again=${again} />`;
  return html`<div class="photo-screen">
    <${Header} photo=${photo}><${UndoButtons} photo=${photo} /><//>
    <${Viewer} photo=${photo} view=${view} />
    <aside class="panel photo-panels" aria-label="What to do with the photo">
      <${Tabs} label="Panels" tabs=${panels} chosen=${chosen} onChoose=${choose}
        photo=${photo} view=${view} />
    </aside>
  </div>`;
}

/** A photo that is not there, or not yet. */
export function Missing({ error, again }) {
  if (error === null) {
    return html`<p class="soft" role="status">Looking for the photo</p>`;
  }
  const isGone = [404, 410].includes(error.status);
  return html`<${Trouble} error=${isGone ? GONE : error}>
    <a class="button small" href="#/">Back to all photos</a>
    ${!isGone && html`<${Button} kind="small" icon="refresh" onClick=${again}>Try again<//>`}
  <//>`;
}

/** Ask for all versions of a photo, older ones too; `error`: why it is not there. */
export function useFinding(id, photo) {
  const [error, setError] = useState(null);
  const [attempt, setAttempt] = useState(0);
  const isGone = photo === undefined;
  const wasThere = useRef(false);
  wasThere.current ||= !isGone;
  useEffect(() => {
    if (!isLoaded.value) return;
    if (isGone && wasThere.current) {
      // Deleted, here or elsewhere: there is nothing to ask for.
      setError(new Problem({ ...GONE, status: 410, code: "job_deleted" }));
      return;
    }
    setError(null);
    findAll(id, isGone).catch(setError);
  }, [id, isLoaded.value, isGone, attempt]);
  return { error, again: () => setAttempt(attempt + 1) };
}

/** Read all versions of a photo. isUnknown: none is known yet. Throws Problem or Away. */
async function findAll(id, isUnknown) {
  const query = new URLSearchParams({ "metadata.studio": id, limit: 200 });
  const { items } = await ask("GET", `/v1/jobs?${query}`);
  put(...items);
  // Of a job that was submitted elsewhere, its own id stands for the photo. One that was known when
  // this was asked may be deleted by now.
  if (isUnknown && items.every((job) => photoIdOf(job) !== id)) await find(id);
}
