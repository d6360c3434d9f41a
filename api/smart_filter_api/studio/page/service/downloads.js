/** Lets the browser save a Blob as a file. */

// Time for the browser to start the download.
const STARTED_MS = 60_000;

/** Save a Blob under a name. */
export function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), STARTED_MS);
}
