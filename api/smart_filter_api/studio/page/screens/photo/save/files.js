/** Files of a photo. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { sayTrouble } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { call } from "../../../service/api.js";
import { download } from "./download.js";

const FILES = [
  { output: "image", title: "Finished picture" },
  { output: "cutout", title: "Cutout", about: "the people with transparency" },
  { output: "matte", title: "Matte", about: "people in white, the rest in black" },
  { output: "persons", title: "Each person", about: "cut out one by one" },
  { output: "zip", title: "Colors and matte", about: "two files, for editing programs" },
  { output: "thumbnail", title: "Thumbnail", about: "256 pixels at most" },
];
const DATA = [
  { output: "faces", title: "Faces, smiles and eyes" },
  { output: "rating", title: "Rating" },
  { output: "printability", title: "How it prints" },
];
const KINDS = {
  "application/json": "JSON",
  "application/zip": "ZIP",
  "image/avif": "AVIF",
  "image/jpeg": "JPEG",
  "image/png": "PNG",
  "image/webp": "WebP",
};

/** A list of files with type, size and a download button. */
export function Files({ job }) {
  const data = DATA.filter(({ output }) => job.outputs[output]);
  return html`<div>
    <${List} job=${job} files=${FILES.filter(({ output }) => job.outputs[output])} />
    ${data.length > 0 && html`<details><summary>Data, for programs</summary>
      <${List} job=${job} files=${data} /></details>`}
  </div>`;
}

function List({ job, files }) {
  return html`<ul class="files">
    ${files.map((file) => html`<${File} key=${file.output} job=${job} ...${file} />`)}
  </ul>`;
}

function File({ job, output, title, about }) {
  const facts = useFacts(job.outputs[output]);
  const [isBusy, setBusy] = useState(false);
  const take = async () => {
    if (isBusy) return;
    setBusy(true);
    await download(job, output).catch(sayTrouble);
    setBusy(false);
  };
  const details = [about, facts?.kind, pixelsOf(job, output), facts && size(facts.bytes)];
  return html`<li class="row spread">
    <div><h3>${title}</h3><p class="small soft figures">${details.filter(Boolean).join(" · ")}</p></div>
    <${Button} kind="quiet" icon="download" label=${`Save: ${title}`} aria-disabled=${isBusy}
      onClick=${take} />
  </li>`;
}

/** Request the type and size of a file without downloading it: `{kind, bytes}`, null until known. */
function useFacts(path) {
  const [facts, setFacts] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    call("HEAD", path, { signal: stop.signal }).then(
      ({ headers }) => {
        const type = headers.get("Content-Type").split(";")[0];
        setFacts({ kind: KINDS[type] ?? type, bytes: Number(headers.get("Content-Length")) });
      },
      () => {
        // The download may still work; otherwise it shows the error.
      },
    );
    return () => stop.abort();
  }, [path]);
  return facts;
}

function pixelsOf(job, output) {
  if (output === "image" && job.image) return `${job.image.width} × ${job.image.height}`;
  if (["cutout", "matte"].includes(output) && job.frame) return `${job.frame.width} × ${job.frame.height}`;
  return null;
}

function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
