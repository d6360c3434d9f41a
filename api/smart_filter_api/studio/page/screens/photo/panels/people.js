/** Who is in the photo: smiles, moods and eyes. */

import { html } from "../../../html.js";

export const people = { id: "people", title: "People", icon: "face", Panel };

function Panel({ photo }) {
  const { faces } = photo.current;
  if (!faces?.length) return html`<p class="soft">No face was found.</p>`;
  return html`<ol class="stack">
    ${faces.map(
      (face, index) => html`<li key=${index} class="row spread">
        <strong>Person ${index + 1}</strong><span class="tag">${face.smile?.level ?? "not rated"}</span>
      </li>`,
    )}
  </ol>`;
}
