/** What was dropped: files, also in folders, or the address of a picture in another tab. */

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

/**
 * Return the address of a picture or link that was dragged from another page, or null.
 *
 * A picture comes before the link around it.
 */
export function addressOf(transfer) {
  // Browsers write the markup of a drag themselves; the page's policy lets nothing parse it.
  const picture = /<img\b[^>]*?\ssrc="([^"]+)"/iu.exec(transfer.getData("text/html"))?.[1];
  const lines = transfer.getData("text/uri-list").split(/\r?\n/u);
  const address = picture?.replaceAll("&amp;", "&") ?? lines.find((line) => line && !line.startsWith("#"));
  return !address || address.startsWith(`${location.origin}/`) ? null : address;
}

/** Return the picture that an address itself holds (`data:`) as a file, or null. name: without extension. */
export function fileIn(address, name) {
  const [, type, text] = /^data:(image\/\w+);base64,(.+)$/u.exec(address) ?? [];
  if (type === undefined) return null;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new File([bytes], `${name}.${type.slice("image/".length)}`, { type });
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
