/** What backgrounds are called on the page. */

import { designOf } from "../../../../state/backgrounds.js";

/** Return what stands behind the people of a job, in words. recipe: as it is wanted. */
export function nameOf(job, recipe = job.recipe) {
  const wanted = recipe.background;
  const [kind, said] = split(wanted);
  if (kind === "preset") return designName(said);
  if (kind === "color") return `Colour ${said}`;
  if (kind === "blur") return `Blurred, ${Math.round(100 * Number(said))} %`;
  if (kind === "file" || kind === "url") return "Your picture";
  if (kind === "transparent") return "Transparent";
  if (kind === "keep") return "Original background";
  const chosen = wanted === job.recipe.background ? job.background?.name : null;
  const asked = kind === "keywords" ? `“${said.replaceAll(",", ", ")}”` : "Chosen for you";
  return chosen ? `${asked}: ${designName(chosen)}` : asked;
}

/** Return what a design is called, with what it is printed on. */
export function designName(name) {
  const { design, surface } = designOf(name);
  const title = design?.title ?? name;
  return surface ? `${title} on ${surface.title.toLowerCase()}` : title;
}

/** Return the kind of a recipe's background, and what it says behind the colon. */
export function split(background) {
  const at = background.indexOf(":");
  return at < 0 ? [background, ""] : [background.slice(0, at), background.slice(at + 1)];
}
