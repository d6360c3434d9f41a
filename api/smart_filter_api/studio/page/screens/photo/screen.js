/** One photo: the picture at large, and panels with all that can be told and changed. */

import { useEffect, useState } from "preact/hooks";
import { Tabs } from "../../controls/choices.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { find } from "../../state/jobs.js";
import { photos } from "../../state/photos.js";
import { panels } from "./panels/all.js";
import { Viewer } from "./viewer.js";

/** The screen of a photo. words: its id. */
export function PhotoScreen({ words: [id] }) {
  const photo = photos.value.find((one) => one.id === id);
  const error = useFinding(id, photo);
  const [chosen, choose] = useState(panels[0].id);
  if (photo === undefined) return error && html`<${Trouble} error=${error} />`;
  return html`<div class="photo-screen">
    <${Viewer} photo=${photo} />
    <aside class="panel photo-panels" aria-label="What to do with the photo">
      <${Tabs} label="Panels" tabs=${panels} chosen=${chosen} onChoose=${choose} photo=${photo} />
    </aside>
  </div>`;
}

/** Ask for a photo that is older than what was read; return what went wrong. */
function useFinding(id, photo) {
  const [error, setError] = useState(null);
  const isUnknown = photo === undefined;
  useEffect(() => {
    if (isUnknown) find(id).catch(setError);
  }, [id, isUnknown]);
  return error;
}
