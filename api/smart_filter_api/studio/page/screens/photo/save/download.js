/** Outputs as files on the visitor's machine. */

import { fetchBlob } from "../../../service/api.js";
import { stemOf } from "../../../service/file-names.js";

const ENDINGS = {
  "application/json": "json",
  "application/zip": "zip",
  "image/avif": "avif",
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
};

/** Fetch an output of a job as a File with a name that says what it is. Throws Problem or Away. */
export async function fetchFile(job, output) {
  const blob = await fetchBlob(job.outputs[output]);
  return new File([blob], fileName(job, output, blob.type), { type: blob.type });
}

/** Let the browser save an output of a job. Throws Problem or Away. */
export async function download(job, output) {
  const file = await fetchFile(job, output);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  // The browser reads it in its own time.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Return what a file is called: after the photo, and after the output unless it is the image. */
export function fileName(job, output, type) {
  const stem = stemOf(job.metadata.name ?? "");
  const ending = ENDINGS[type.split(";")[0]] ?? "bin";
  return `${stem}.${output === "image" ? "smart-filter" : output}.${ending}`;
}
