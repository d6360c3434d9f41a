/** Saved recipes: the tenant's own, then the built-in ones. */

import { signal } from "@preact/signals";
import { call, ask } from "../service/api.js";
import { held } from "./backgrounds.js";

const PATH = "/v1/recipes";

/** Names of the logos that recipes can name, the operator's too; read with the recipes. */
export const serviceLogos = signal([]);
/** `{name, title, built_in, recipe}` each, from `GET /v1/recipes`. */
export const savedRecipes = held(PATH, (items, { logos }) => {
  serviceLogos.value = logos;
  return items;
});

/** Return the name of a recipe that words make, empty if they have no letters a to z and no digits. */
export function nameFrom(words) {
  const parts = words.toLowerCase().normalize("NFKD").replaceAll(/\p{M}/gu, "").match(/[a-z0-9]+/g) ?? [];
  return parts.join("-").slice(0, 64).replace(/-$/, "");
}

/** Save a recipe, or replace the one of this name. Throws as `call` does. */
export async function saveRecipe(name, recipe) {
  const saved = await ask("PUT", `${PATH}/${name}`, { json: { recipe } });
  const others = (savedRecipes.items.value ?? []).filter((one) => one.name !== name);
  savedRecipes.items.value = [saved, ...others];
  return saved;
}

/** Delete an own recipe. Throws as `call` does. */
export async function deleteRecipe(name) {
  await call("DELETE", `${PATH}/${name}`);
  savedRecipes.items.value = null;
  savedRecipes.load();
}
