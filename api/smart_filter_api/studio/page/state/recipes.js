/**
 * Recipes as a form has them, and what somebody is about to change of one.
 *
 * Here a recipe is an object of what differs from the defaults: names as a form has them, with dots
 * (`segmentation.params.blur`), and scalars or lists of words. So it can be sent as a form, as JSON,
 * and by the Python client.
 */

import { signal } from "@preact/signals";

/** What of a job's recipe was for that job alone: a moment that has passed. */
const PASSED = ["run_at", "deadline_ms"];
/** Lists that name what parameters of their own belong to. */
const FILTERS = "filters";

/** By key: `{from, to}`, of which recipe somebody is about to make which. */
const drafts = signal({});

/**
 * Return the recipe that is being drafted under a key; base: what it begins with.
 *
 * Drafts are kept while somebody looks at something else. When another version has come meanwhile,
 * as of another background, they say of that one what they said of the former.
 */
export function drafted(key, base) {
  const draft = drafts.value[key];
  if (draft === undefined) return base;
  // What others belong to goes first, because it puts those aside.
  const names = differing(draft.from, draft.to).sort((one, other) => isBelow(one) - isBelow(other));
  return names.reduce((recipe, name) => changed(recipe, name, draft.to[name]), base);
}

/** Keep a draft, or forget it where it says nothing else. */
export function keepDraft(key, from, to) {
  const draft = differing(from, to).length === 0 ? undefined : { from, to };
  drafts.value = { ...drafts.value, [key]: draft };
}

/**
 * Return what a job was asked for, and what it has beside that from a version before.
 *
 * fields: of state/models.js.
 */
export function asked(job, fields) {
  const recipe = flat(job.recipe);
  for (const name of PASSED) delete recipe[name];
  const had = new Set([...(recipe.outputs ?? []), ...Object.keys(job.outputs)]);
  recipe.outputs = fields.outputs.items.enum.filter((output) => had.has(output));
  if (recipe.margin !== undefined) recipe.margin = shortened(recipe.margin);
  return withoutDefaults(recipe, fields);
}

/** Return a recipe as it is nested in JSON, flat. Lists of objects are filters with parameters. */
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

/** Return a recipe as JSON has it: what is below a model or a parameter nested. */
export function nested(recipe) {
  const whole = {};
  for (const [name, value] of Object.entries(recipe)) {
    const words = name.split(".");
    // A list stands where its parameters would be nested.
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

/** Return a recipe without what says no more than the default. */
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
 * Return what `POST …/derive` is told to make a recipe of another: null is the default.
 *
 * A model and a list of filters put aside what was set for the former, so that they are told with
 * all that belongs to them.
 */
export function difference(from, to) {
  const told = {};
  for (const name of differing(from, to)) {
    const head = rulerOf(name);
    if (head === null) {
      told[name] = to[name] ?? null;
      continue;
    }
    told[head] = to[head] ?? null;
    for (const [other, value] of Object.entries(to)) if (rulerOf(other) === head) told[other] = value;
  }
  return told;
}

/** Return a recipe with another value; undefined is the default. Another model has no parameters. */
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

/** Return the name of a field that a problem points to (RFC 6901), without list indices. */
export function nameOf(pointer) {
  return pointer
    .split("/")
    .slice(1)
    .map((word) => word.replaceAll("~1", "/").replaceAll("~0", "~"))
    .join(".");
}

/** Return what a name belongs to: a model, the list of filters, or null. */
function rulerOf(name) {
  if (name.split(".")[0] === FILTERS) return FILTERS;
  const task = /^(\w+)\.(model|params\.)/.exec(name)?.[1];
  return task === undefined ? null : `${task}.model`;
}

/** Whether a name is a parameter of something that another name asks for. */
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

/** Return four lengths as CSS writes them when some are the same. */
function shortened(text) {
  const [top, right, bottom, left] = text.split(" ");
  if (left !== right) return text;
  if (top !== bottom) return `${top} ${right} ${bottom}`;
  return top === right ? top : `${top} ${right}`;
}
