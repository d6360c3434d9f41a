/** Names of files, made of names that anybody may have given a photo. */

// Line breaks and the like, what turns the direction of writing, and halves of characters.
const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const USUAL = "photo";

/** Return what a file made of a photo is called, without an ending: one that every system takes. */
export function stemOf(name) {
  const stem = withoutUnseen(name)
    .replace(/\.[a-z]{3,4}$/i, "")
    .replace(/[\\/:*?"<>|]/g, ".")
    // Hidden files begin with a dot, options with a dash; Windows takes no file that ends with a dot.
    .replace(/^[-.\s]+|[.\s]+$/g, "");
  return stem || USUAL;
}

/** Return a photo's name as a path of the folder that one is in: no command takes it for an option. */
export function pathOf(name) {
  const last = withoutUnseen(name).split(/[\\/]/).at(-1).trim();
  if (/^\.*$/.test(last)) return `${USUAL}.jpg`;
  return last.startsWith("-") ? `./${last}` : last;
}

function withoutUnseen(name) {
  return name.replace(UNSEEN, "");
}
