/** A version of the picture in another shape, size or format. */

import { useState } from "preact/hooks";
import { useAttempt } from "../../../controls/attempt.js";
import { Button } from "../../../controls/button.js";
import { Range, Select } from "../../../controls/fields.js";
import { Trouble, say } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { ended } from "../../../state/jobs.js";
import { derive, show } from "../../../state/photos.js";
import { FORMATS, FRAMINGS, SHAPES, changesOfShape } from "../../shapes.js";
import { download } from "./download.js";

/** A form that makes a version and saves it. */
export function Making({ job }) {
  const [shape, setShape] = useState("");
  const [framing, setFraming] = useState(String(job.recipe.crop));
  const [format, setFormat] = useState(job.recipe.format);
  const [quality, setQuality] = useState(job.recipe.quality);
  const { attempt, isBusy, error } = useAttempt();
  const isTransparent = job.recipe.background === "transparent";
  const formats = isTransparent ? FORMATS.filter(({ value }) => value !== "jpg") : FORMATS;
  const make = () => {
    const outputs = [...new Set([...job.recipe.outputs, "image"])];
    attempt(() => makeAndSave(job, { ...changesOfShape({ shape, framing, format, quality }), outputs }));
  };
  return html`<section class="stack" aria-label="Another shape, size or format">
    <h2>Another shape, size or format</h2>
    <${Select} label="Shape and size" options=${SHAPES} value=${shape} onChange=${setShape} />
    <${Select} label="Framing" options=${FRAMINGS} value=${framing} onChange=${setFraming} />
    <${Select} label="Format" options=${formats} value=${format} onChange=${setFormat}
      hint=${isTransparent ? "JPEG is not available: it has no transparency." : undefined} />
    ${format !== "png" && html`<${Range} label="Quality" min="40" max="100" value=${quality}
      onInput=${setQuality} />`}
    ${error && html`<${Trouble} error=${error} />`}
    <div class="row"><${Button} kind="primary" icon="download" aria-disabled=${isBusy}
      onClick=${make}>${isBusy ? "In progress" : "Make and save"}<//></div>
  </section>`;
}

async function makeAndSave(job, otherwise) {
  const made = await ended((await derive(job, otherwise)).id);
  if (made?.state !== "succeeded") {
    throw made?.error ?? { title: "The picture was not made", remedy: "Try again." };
  }
  await download(made, "image");
  const { width, height } = made.image;
  say(`Saved, ${width} × ${height} pixels.`, { label: "Show the previous picture", run: () => show(job) });
}
