/** Pictures on the clipboard. */

/**
 * Put a picture on the clipboard. take: returns a promise of its Blob, of any kind.
 *
 * Call it within the click handler, as some browsers require; the picture may come later. Throws what
 * the promise throws, and `{title, remedy}` when the browser refuses.
 */
export async function copyPicture(take) {
  if (!isSecureContext) {
    throw {
      title: "Browsers copy pictures only on secure addresses: https, or localhost",
      remedy: "Save the picture instead.",
    };
  }
  const png = take().then(asPng);
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
  } catch {
    // If the picture itself failed, throw that error.
    await png;
    throw { title: "The browser did not allow copying", remedy: "Save the picture instead." };
  }
}

/** Return a picture as PNG, the only type that every clipboard accepts. */
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
