/** A folder that the user chooses, for many files. */

import { distinct } from "./zip.js";

/** Whether this browser can write into a folder (File System Access API). */
export const canChooseFolder = typeof globalThis.showDirectoryPicker === "function";

/**
 * Ask for a folder; return a place whose `put` writes a Blob at a path below it and replaces no file.
 * Call it on a click.
 *
 * Throws AbortError when the user closes the question.
 */
export async function folderPlace() {
  const root = await showDirectoryPicker({ mode: "readwrite" });
  const names = new Map();
  return {
    put: async (blob, path) => {
      const parts = path.split("/");
      const wanted = parts.pop();
      try {
        let folder = root;
        for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true });
        const key = parts.join("/");
        if (!names.has(key)) names.set(key, await namesIn(folder));
        const name = distinct([...names.get(key), wanted]).at(-1);
        names.get(key).add(name);
        const handle = await folder.getFileHandle(name, { create: true });
        const writer = await handle.createWritable();
        await writer.write(blob);
        await writer.close();
      } catch (error) {
        notWritten(error);
      }
    },
  };
}

async function namesIn(folder) {
  const taken = new Set();
  for await (const name of folder.keys()) taken.add(name);
  return taken;
}

function notWritten(error) {
  throw { title: "The file cannot be written", detail: error.message, remedy: "Choose another folder." };
}
