/** Lets the browser save files. */

// Time for the browser to start the download.
const STARTED_MS = 60_000;

/** Save a Blob under a name. */
export function saveBlob(blob, name) {
  const address = URL.createObjectURL(blob);
  saveAddress(address, name);
  setTimeout(() => URL.revokeObjectURL(address), STARTED_MS);
}

/** Let the browser save what an address answers with. name: of the file; "": the answer's own. */
export function saveAddress(address, name = "") {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}
