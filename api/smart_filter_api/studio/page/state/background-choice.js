/**
 * A choice of background, for photos that are new or many.
 *
 * It is `{kind, color, blur, keywords, design, picture}`: the kind, and the last value of each kind.
 * picture: a File of the user's own.
 */

export const FIRST_CHOICE = {
  kind: "auto",
  color: "#f2c14e",
  blur: 0.5,
  keywords: "",
  design: null,
  picture: null,
};
// Recipe fields that need a new background.
const JOINED = ["shadow", "outline", "light_wrap", "harmonize"];
const MOVED = ["scale", "position"];

/** Return the recipe's `background`; `auto` while a value is missing. */
export function backgroundOf({ kind, color, blur, keywords, design, picture }) {
  const words = keywords.split(",").map((word) => word.trim()).filter(Boolean);
  if (kind === "color") return `color:${color}`;
  if (kind === "blur") return `blur:${blur}`;
  if (kind === "keywords") return words.length > 0 ? `keywords:${words.join(",")}` : "auto";
  if (kind === "design") return design === null ? "auto" : `preset:${design}`;
  if (kind === "file") return picture === null ? "auto" : "file";
  return kind;
}

/** Return whether the chosen kind has its value. */
export function isComplete(choice) {
  return choice.kind === "auto" || backgroundOf(choice) !== "auto";
}

/** Return the changes that give a recipe this background; null resets a field. */
export function changesTo(background, recipe) {
  if (background === "keep") {
    const reset = [...JOINED, ...MOVED.filter((name) => recipe[name] !== "original")];
    return { background, ...Object.fromEntries(reset.map((name) => [name, null])) };
  }
  if (background === "transparent" && recipe.format === "jpg") return { background, format: "auto" };
  // The file itself is sent along.
  return background === "file" ? {} : { background };
}
