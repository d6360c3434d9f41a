/** One photo: the picture at large, and panels with findings and settings. */

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
  title: "This photo no longer exists",
  detail: "It was deleted, or belongs to another user.",
};

/** The screen of a photo. words: its id. Panels get `photo` and the viewer's `view`. */
export function PhotoScreen({ words: [id] }) {
  const photo = photos.value.find((one) => one.id === id);
  const { error, again } = useFinding(id, photo);
  const [chosen, choose] = useState(panels[0].id);
  const [view] = useState(() => new View());
  if (photo === undefined) return html`<${Missing} error=${error} again=${again} />`;
  return html`<div class="photo-screen">
    <${Header} photo=${photo}><${UndoButtons} photo=${photo} /><//>
    <${Viewer} photo=${photo} view=${view} />
    <aside class="panel photo-panels" aria-label="Photo tools">
      <${Tabs} label="Panels" tabs=${panels} chosen=${chosen} onChoose=${choose}
        photo=${photo} view=${view} />
    </aside>
  </div>`;
}

/** Message about a photo that does not exist or is not loaded yet. */
export function Missing({ error, again }) {
  if (error === null) {
    return html`<p class="soft" role="status">Loading the photo</p>`;
  }
  const isGone = [404, 410].includes(error.status);
  return html`<h1 class="unseen">Photo</h1><${Trouble} error=${isGone ? GONE : error}>
    <a class="button small" href="#/">Back to all photos</a>
    ${!isGone && html`<${Button} kind="small" icon="refresh" onClick=${again}>Try again<//>`}
  <//>`;
}

/** Load all versions of a photo. `error`: why it is missing. */
export function useFinding(id, photo) {
  const [error, setError] = useState(null);
  const [attempt, setAttempt] = useState(0);
  const isGone = photo === undefined;
  const wasThere = useRef(false);
  wasThere.current ||= !isGone;
  useEffect(() => {
    if (!isLoaded.value) return;
    if (isGone && wasThere.current) {
      // Deleted, here or elsewhere: no request is needed.
      setError(new Problem({ ...GONE, status: 410, code: "job_deleted" }));
      return;
    }
    setError(null);
    findAll(id, isGone).catch(setError);
  }, [id, isLoaded.value, isGone, attempt]);
  return { error, again: () => setAttempt(attempt + 1) };
}

/** Read all versions of a photo. isUnknown: no version is known yet. Throws Problem or Away. */
async function findAll(id, isUnknown) {
  const query = new URLSearchParams({ "metadata.studio": id, limit: 200 });
  const { items } = await ask("GET", `/v1/jobs?${query}`);
  put(...items);
  // For a job submitted elsewhere, its own id stands for the photo. A photo that was known before
  // this request may have been deleted meanwhile.
  if (isUnknown && items.every((job) => photoIdOf(job) !== id)) await find(id);
}
