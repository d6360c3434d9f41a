/** Pictures on the clipboard. */

/**
 * Put a picture on the clipboard. take: returns a promise of its Blob, of any kind.
 *
 * Call it within the click that asks for it, as some browsers insist; the picture may come later.
 * Throws what the promise does, and `{title, remedy}` where the browser refuses.
 */
export async function copyPicture(take) {
  if (!isSecureContext) {
    throw {
      title: "Browsers copy pictures at safe addresses alone: https, or localhost",
      remedy: "Save it instead.",
    };
  }
  const png = take().then(asPng);
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
  } catch {
    // Where there was no picture to copy, that is what went wrong.
    await png;
    throw { title: "The browser did not let it be copied", remedy: "Save it instead." };
  }
}

/** Return a picture as PNG, the one kind that every clipboard takes. */
async function asPng(blob) {
  if (blob.type === "image/png") return blob;
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
