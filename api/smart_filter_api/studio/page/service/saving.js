/** Places for many files: a zip to download, or a folder that the user chooses. */

import { saveBlob } from "./downloads.js";
import { newestFirst } from "./ids.js";
import { distinct, zip } from "./zip.js";

/** Whether this browser can write into a folder (File System Access API). */
export const canChooseFolder = typeof globalThis.showDirectoryPicker === "function";

/** Return a place that collects photos' files, and lets the browser save them as one zip, sorted. */
export function zipPlace(name) {
  let files = [];
  return {
    put: async (file, id) => files.push({ file, id }),
    end: async () => {
      if (files.length === 0) return;
      // As the sheet shows them; they were finished in another order.
      files.sort(newestFirst);
      const names = distinct(files.map(({ file }) => file.name));
      const entries = files.map(({ file }, index) => ({ name: names[index], load: async () => file }));
      // Another attempt at the failed ones fills another zip.
      files = [];
      saveBlob(await zip(entries), name);
    },
  };
}

/**
 * Ask for a folder; return a place that writes files into it and replaces none. Call it on a click.
 *
 * Throws AbortError when the user closes the question.
 */
export async function folderPlace() {
  const folder = await showDirectoryPicker({ mode: "readwrite" });
  const taken = new Set();
  for await (const name of folder.keys()) taken.add(name);
  // One file after the other, so that two of the same name get different ones.
  let last = Promise.resolve();
  const write = async (file) => {
    const name = distinct([...taken, file.name]).at(-1);
    taken.add(name);
    const handle = await folder.getFileHandle(name, { create: true });
    const writer = await handle.createWritable();
    await writer.write(file);
    await writer.close();
  };
  return {
    put: (file) => {
      const written = last.then(() => write(file));
      last = written.catch(() => {});
      return written.catch(notWritten);
    },
    end: async () => {},
  };
}

function notWritten(error) {
  throw { title: "The file cannot be written", detail: error.message, remedy: "Choose another folder." };
}
