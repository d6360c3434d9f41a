/** Downloads outputs as files. */

import { fetchBlob } from "../../../service/api.js";
import { saveBlob } from "../../../service/downloads.js";
import { stemOf } from "../../../service/file-names.js";

const ENDINGS = {
  "application/json": "json",
  "application/zip": "zip",
  "image/avif": "avif",
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
};

/** Fetch an output of a job as a File with a descriptive name. Throws Problem or Away. */
export async function fetchFile(job, output, options) {
  const blob = await fetchBlob(job.outputs[output], options);
  return new File([blob], fileName(job, output, blob.type), { type: blob.type });
}

/** Let the browser save an output of a job. Throws Problem or Away. */
export async function download(job, output) {
  const file = await fetchFile(job, output);
  saveBlob(file, file.name);
}

/** Return a file name as the service does: the photo's, followed by the output's unless it is the image. */
export function fileName(job, output, type) {
  const stem = stemOf(job.metadata.name ?? job.photo_name ?? "");
  const ending = ENDINGS[type.split(";")[0]] ?? "bin";
  return `${stem}${output === "image" ? "" : `-${output}`}.${ending}`;
}
