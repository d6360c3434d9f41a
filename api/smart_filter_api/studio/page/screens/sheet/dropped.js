/** Files of a drop, including those in folders. */

import { looksLikePhoto } from "../../service/formats.js";

/**
 * Return a promise of `{files, isFolder}`: the dropped files, and the photos in dropped folders.
 *
 * transfer: of a drop event; call before the event ends, because it is empty afterwards.
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
    // Browsers return up to a hundred entries per call, and none at the end.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) break;
    for (const entry of entries) {
      files.push(...(entry.isDirectory ? await inside(entry) : [await fileOf(entry)]));
    }
  }
  return files.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
}

/** Return a promise of a file; its `folder` is that in which it was dropped. */
async function fileOf(entry) {
  const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
  return Object.assign(file, { folder: entry.fullPath.split("/").slice(1, -1).join("/") });
}
