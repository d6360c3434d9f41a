/**
 * Recipes in form notation, and drafts of changed recipes.
 *
 * Here a recipe is an object of the values that differ from the defaults: form names with dots
 * (`segmentation.params.blur`), and scalars or lists of words. So it can be sent as a form, as JSON,
 * and by the Python client.
 */

import { signal } from "@preact/signals";

/** Fields of a job's recipe that apply only to that job: their time has passed. */
const PASSED = ["run_at", "deadline_ms"];
/** Name of the list whose entries have parameters of their own. */
const FILTERS = "filters";

/** Drafts by key: `{from, to}`, the original recipe and the changed one. */
const drafts = signal({});

/**
 * Return the recipe drafted under a key; base: the recipe it starts with.
 *
 * Drafts are kept while other screens are open. When a newer version exists meanwhile, as with another
 * background, the draft's changes apply to that one.
 */
export function drafted(key, base) {
  const draft = drafts.value[key];
  if (draft === undefined) return base;
  // Apply models and the list of filters first, because they reset their parameters.
  const names = differing(draft.from, draft.to).sort((one, other) => isBelow(one) - isBelow(other));
  return names.reduce((recipe, name) => changed(recipe, name, draft.to[name]), base);
}

/** Store a draft; delete it if it equals the original. */
export function keepDraft(key, from, to) {
  const draft = differing(from, to).length === 0 ? undefined : { from, to };
  drafts.value = { ...drafts.value, [key]: draft };
}

/**
 * Return the recipe of a job, without fields that apply only to that job.
 *
 * fields: of state/models.js.
 */
export function asked(job, fields) {
  const recipe = flat(job.recipe);
  for (const name of PASSED) delete recipe[name];
  const had = new Set([...(recipe.outputs ?? []), ...Object.keys(job.outputs)]);
  recipe.outputs = fields.outputs.items.enum.filter((output) => had.has(output));
  return withoutDefaults(recipe, fields);
}

/** Return a nested JSON recipe in flat notation. Lists of objects are filters with parameters. */
export function flat(nested) {
  const recipe = {};
  const add = (name, value) => {
    if (value === null || value === undefined) return;
    if (Array.isArray(value)) {
      recipe[name] = value.map((one) => {
        if (typeof one !== "object" || one === null) return String(one);
        add(`${name}.${one.name}`, one.params);
        return String(one.name);
      });
    } else if (typeof value === "object") {
      for (const [below, one] of Object.entries(value)) add(name ? `${name}.${below}` : below, one);
    } else recipe[name] = value;
  };
  add("", nested);
  return recipe;
}

/** Return a recipe in the nested notation of JSON. */
export function nested(recipe) {
  const whole = {};
  for (const [name, value] of Object.entries(recipe)) {
    const words = name.split(".");
    // A list is a leaf; its parameters cannot be nested below it.
    if (words.length === 1 || words[0] === FILTERS) {
      whole[name] = value;
      continue;
    }
    let place = whole;
    for (const word of words.slice(0, -1)) place = place[word] ??= {};
    place[words.at(-1)] = value;
  }
  return whole;
}

/** Return a recipe without values that equal the default. */
export function withoutDefaults(recipe, fields) {
  const isSaid = ([name, value]) => {
    const usual = fields[name]?.default ?? (name.endsWith(".model") ? "auto" : undefined);
    return !isSame(value, usual);
  };
  return Object.fromEntries(Object.entries(recipe).filter(isSaid));
}

/** Return the names in which two recipes differ. */
export function differing(one, other) {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].filter((name) => !isSame(one[name], other[name]));
}

/**
 * Return the body of `POST …/derive` that turns one recipe into another; null is the default.
 *
 * Naming a model or a list of filters resets its parameters, so the body then includes all of them.
 */
export function difference(from, to) {
  const body = {};
  for (const name of differing(from, to)) {
    const head = rulerOf(name);
    if (head === null) {
      body[name] = to[name] ?? null;
      continue;
    }
    body[head] = to[head] ?? null;
    for (const [other, value] of Object.entries(to)) if (rulerOf(other) === head) body[other] = value;
  }
  return body;
}

/** Return a recipe with a changed value; undefined is the default. Another model drops parameters. */
export function changed(recipe, name, value) {
  const next = { ...recipe, [name]: value };
  if (value === undefined) delete next[name];
  if (name.endsWith(".model") && recipe[name] !== value) drop(next, `${name.slice(0, -6)}.params.`);
  if (name === FILTERS) {
    const gone = (recipe[FILTERS] ?? []).filter((filter) => !value?.includes(filter));
    for (const filter of gone) drop(next, `${FILTERS}.${filter}.`);
  }
  return next;
}

/** Return the field name of a problem's pointer (RFC 6901), without list indices. */
export function nameOf(pointer) {
  return pointer
    .split("/")
    .slice(1)
    .map((word) => word.replaceAll("~1", "/").replaceAll("~0", "~"))
    .join(".");
}

/** Return the name that a parameter depends on: a model, the list of filters, or null. */
function rulerOf(name) {
  if (name.split(".")[0] === FILTERS) return FILTERS;
  const task = /^(\w+)\.(model|params\.)/.exec(name)?.[1];
  return task === undefined ? null : `${task}.model`;
}

/** Return whether a name is a parameter that depends on another name. */
function isBelow(name) {
  const head = rulerOf(name);
  return Number(head !== null && head !== name);
}

function drop(recipe, prefix) {
  for (const name of Object.keys(recipe)) if (name.startsWith(prefix)) delete recipe[name];
}

function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
