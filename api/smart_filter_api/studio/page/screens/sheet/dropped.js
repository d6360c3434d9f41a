/** The files of a drop, those in folders too. */

import { looksLikePhoto } from "../../service/formats.js";

/**
 * Return a promise of `{files, isFolder}`: what was dropped as it is, and of folders their photos.
 *
 * transfer: of a drop event, read before the event ends, for after that it is empty.
 */
export async function filesOf(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) {
    return { files: [...transfer.files], isFolder: false };
  }
  const files = [];
  for (const entry of entries) {
    if (entry?.isFile) files.push(await fileOf(entry));
    if (entry?.isDirectory) files.push(...(await inside(entry)).filter(looksLikePhoto));
  }
  return { files, isFolder: true };
}

async function inside(folder) {
  const files = [];
  const reader = folder.createReader();
  for (;;) {
    // A hundred at a time, until there are none.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) break;
    for (const entry of entries) {
      files.push(...(entry.isDirectory ? await inside(entry) : [await fileOf(entry)]));
    }
  }
  return files.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
}

function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
