/** A version of the picture in another shape, size or format. */

import { useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Range, Select } from "../../../controls/fields.js";
import { Trouble, say } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { ended } from "../../../state/jobs.js";
import { derive, show } from "../../../state/photos.js";
import { download } from "./download.js";

const SHAPES = [
  { value: "", label: "Unchanged" },
  { value: "1080x1080", label: "Square post, 1080 × 1080" },
  { value: "1080x1350", label: "Portrait post 4:5, 1080 × 1350" },
  { value: "1080x1920", label: "Story 9:16, 1080 × 1920" },
  { value: "1920x1080", label: "Wide 16:9, 1920 × 1080" },
  { value: "medium", label: "Smaller, for the web" },
  ...["9x13", "10x15", "13x18", "15x20", "20x30"].map((paper) => {
    return { value: `print:${paper}`, label: `Print ${paper.replace("x", " × ")} cm, 300 dpi` };
  }),
  ...["a6", "a5", "a4"].map((paper) => {
    return { value: `print:${paper}`, label: `Print ${paper.toUpperCase()}, 300 dpi` };
  }),
];
const FRAMINGS = [
  { value: "false", label: "The whole photo" },
  { value: "true", label: "Around the people" },
  { value: "faces", label: "A portrait of the faces" },
];
const FORMATS = [
  { value: "auto", label: "Best for this picture" },
  { value: "jpg", label: "JPEG" },
  { value: "png", label: "PNG, lossless" },
  { value: "webp", label: "WebP" },
  { value: "avif", label: "AVIF, smallest file" },
];

/** A form that makes a version and saves it. */
export function Making({ job }) {
  const [shape, setShape] = useState("");
  const [framing, setFraming] = useState(String(job.recipe.crop));
  const [format, setFormat] = useState(job.recipe.format);
  const [quality, setQuality] = useState(job.recipe.quality);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const isTransparent = job.recipe.background === "transparent";
  const formats = isTransparent ? FORMATS.filter(({ value }) => value !== "jpg") : FORMATS;
  const make = async () => {
    if (isBusy) return;
    setBusy(true);
    setError(null);
    try {
      await makeAndSave(job, recipe({ job, shape, framing, format, quality }));
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
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

/** Return the recipe changes of a version; null resets a field. */
function recipe({ job, shape, framing, format, quality }) {
  return {
    ...(shape === "" ? {} : { size: shape, aspect: null }),
    ...(framing === "false" ? { crop: null, margin: null } : { crop: framing }),
    format,
    quality: format === "png" ? null : quality,
    outputs: [...new Set([...job.recipe.outputs, "image"])],
  };
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
