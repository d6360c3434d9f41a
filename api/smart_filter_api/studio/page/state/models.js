/**
 * The service's offer: the fields of a recipe, its models and its filters.
 *
 * All of it is read from the service, so that its new models and fields appear here.
 */

import { signal } from "@preact/signals";
import { ask } from "../service/api.js";

/** The field that names saved recipes, which other screens offer. */
const SAVED = "recipe";

/**
 * `{fields: {name: JSON Schema}, tasks: [{name, models: cards}], filters}`, or null until `load`.
 *
 * fields: of a recipe, by form name, without parameters, in the order of their groups (`x-group`).
 * tasks: in pipeline order; the default's card comes first.
 */
export const offer = signal(null);

/** Load the offer, once. Throws Problem or Away. */
export async function load() {
  if (offer.value !== null) return;
  const [document, models, filters] = await Promise.all([
    ask("GET", "/openapi.json"),
    ask("GET", "/v1/models?all=true"),
    ask("GET", "/v1/filters"),
  ]);
  offer.value = {
    fields: fieldsOf(document),
    tasks: tasksOf(models.items),
    filters: filters.items,
  };
}

/** Return the card of a recipe's model: the named one, or the default. */
export function cardOf(task, recipe) {
  const named = recipe[`${task.name}.model`];
  return task.models.find((card) => (named ? card.name === named : card.default));
}

/** Return the JSON Schema of a name in a recipe; undefined if there is none. */
export function schemaOf(name, recipe) {
  const { fields, tasks, filters } = offer.value;
  if (name in fields) return fields[name];
  const [head, middle, last] = name.split(".");
  if (head === "filters") {
    return filters.find((one) => one.name === middle)?.parameters.properties[last];
  }
  const task = tasks.find((one) => one.name === head);
  if (task === undefined || middle !== "params") return undefined;
  return cardOf(task, recipe)?.parameters.properties[last];
}

function fieldsOf(document) {
  const { content } = document.paths["/v1/jobs"].post.requestBody;
  const { properties } = content["multipart/form-data"].schema;
  const names = Object.keys(properties).filter((name) => name !== SAVED && "x-group" in properties[name]);
  return Object.fromEntries(names.map((name) => [name, fieldOf(properties[name], document)]));
}

/** Return a form field's schema with references replaced and its default. */
function fieldOf(property, document) {
  const schema = resolved(property, document);
  const usual = schema["x-default"];
  return {
    ...schema,
    ...(schema.items && { items: resolved(schema.items, document) }),
    ...(usual !== undefined && { default: usual }),
  };
}

function resolved({ $ref: reference, ...schema }, document) {
  if (reference === undefined) return schema;
  const { title, ...target } = document.components.schemas[reference.split("/").at(-1)];
  return { ...target, ...schema };
}

function tasksOf(cards) {
  const order = ["orientation", "prepare", "segmentation", "face", "smile", "eyes"];
  const names = [...new Set([...order, ...cards.map((card) => card.task)])];
  const rank = (card) => (card.default ? 0 : card.offered ? 1 : 2);
  return names.map((name) => {
    const models = cards.filter((card) => card.task === name);
    return { name, models: models.sort((one, other) => rank(one) - rank(other)) };
  });
}
