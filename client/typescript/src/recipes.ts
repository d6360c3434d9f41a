/** Convert a recipe to form fields. */
import type { Recipe } from "./types.js";

/** Append the fields of a recipe to a form, with dotted names such as `metadata.order`. */
export function appendRecipe(form: FormData, recipe: Recipe): void {
  const { filters, ...others } = recipe;
  for (const filter of filters ?? []) {
    const { name, params } = typeof filter === "string" ? { name: filter } : filter;
    form.append("filters", name);
    appendValue(form, `filters.${name}`, params);
  }
  for (const [name, value] of Object.entries(others)) appendValue(form, name, value);
}

function appendValue(form: FormData, name: string, value: unknown): void {
  if (value === null || value === undefined) return;
  if (Array.isArray(value)) {
    for (const one of value) form.append(name, String(one));
  } else if (typeof value === "object") {
    for (const [inner, one] of Object.entries(value)) appendValue(form, `${name}.${inner}`, one);
  } else {
    form.append(name, String(value));
  }
}
