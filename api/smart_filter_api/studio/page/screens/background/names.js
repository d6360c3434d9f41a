/** Names of backgrounds on the page. */

import { designOf } from "../../state/backgrounds.js";

/** Return the name of a job's background. recipe: the requested one. */
export function nameOf(job, recipe = job.recipe) {
  const wanted = recipe.background;
  const [kind, said] = split(wanted);
  if (kind === "preset") return designName(said);
  if (kind === "color") return `Color ${said}`;
  if (kind === "blur") return `Blurred, ${Math.round(100 * Number(said))} %`;
  if (kind === "file" || kind === "url") return "Your picture";
  if (kind === "transparent") return "Transparent";
  if (kind === "keep") return "Original background";
  const used = wanted === job.recipe.background ? job.background : null;
  const asked = kind === "keywords" ? `“${said.replaceAll(",", ", ")}”` : "Chosen for you";
  if (used?.kind === "keep") return `${asked}: original background`;
  if (used?.kind === "blur") return `${asked}: blurred background`;
  return used?.name ? `${asked}: ${designName(used.name)}` : asked;
}

/** Return the name of a design, with its surface texture. */
export function designName(name) {
  const { design, surface } = designOf(name);
  const title = design?.title ?? name;
  return surface ? `${title} on ${surface.title.toLowerCase()}` : title;
}

/** Return the kind of a recipe's background, and the text after the colon. */
export function split(background) {
  const at = background.indexOf(":");
  return at < 0 ? [background, ""] : [background.slice(0, at), background.slice(at + 1)];
}
