/** Safe file names from names of photos, which are untrusted text. */

// Line breaks and other controls, direction marks, and unpaired surrogates.
const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const USUAL = "photo";

/** Return a file name without an extension that every system accepts. */
export function stemOf(name) {
  const stem = withoutUnseen(name)
    .replace(/\.[a-z]{3,4}$/i, "")
    .replace(/[\\/:*?"<>|]/g, ".")
    // A leading dot hides files, a leading dash is an option; Windows rejects a trailing dot.
    .replace(/^[-.\s]+|[.\s]+$/g, "");
  return stem || USUAL;
}

/** Return a photo's name as a relative path that no command mistakes for an option. */
export function pathOf(name) {
  const last = withoutUnseen(name).split(/[\\/]/).at(-1).trim();
  if (/^\.*$/.test(last)) return `${USUAL}.jpg`;
  return last.startsWith("-") ? `./${last}` : last;
}

function withoutUnseen(name) {
  return name.replace(UNSEEN, "");
}
