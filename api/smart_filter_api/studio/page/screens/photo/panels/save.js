/** Ways to save: files, other formats and shapes, the clipboard, sharing. */

import { html } from "../../../html.js";
import { hasExpired } from "../../../state/jobs.js";
import { Files } from "../save/files.js";
import { Handing } from "../save/handing.js";
import { Making } from "../save/making.js";
import { pictured } from "../viewer/shown.js";

export const save = { id: "save", title: "Save", icon: "download", Panel };

function Panel({ photo }) {
  const job = pictured(photo);
  if (job.state !== "succeeded") return html`<p class="soft">There is nothing to save yet.</p>`;
  if (hasExpired(job)) return html`<p class="soft">The pictures have expired.</p>`;
  return html`<div class="stack saving">
    ${job.outputs.image && html`<${Handing} job=${job} />`}
    <${Files} job=${job} />
    <hr />
    <${Making} key=${photo.id} job=${job} />
  </div>`;
}
