/**
 * Photos as people think of them: one photo, and the versions that were made of it.
 *
 * Each version is a job. Those that the studio submits carry the same `metadata.studio`, which
 * derived jobs inherit (state/origins.js); of a job that came another way, its own id stands for
 * the photo.
 *
 * Another background leaves the people as they were cut out. So a version that differs in nothing
 * else is made without the pictures of them alone, which take as long again, and has its parent's:
 * `metadata.cut-of` names the parent (of a job that inherits that from such a one, it does not).
 *
 * Corrections are handed on to whatever is made of a version, and so is `metadata.corrected`, which
 * tells how many there were: the service keeps them, but lists them with the version they were
 * painted on.
 */

import { computed, signal } from "@preact/signals";
import { ask } from "../service/api.js";
import { newId } from "../service/ids.js";
import { jobs, put } from "./jobs.js";
import { photoIds } from "./origins.js";

const SHOWN = "smart-filter.shown";
const CUT_OF = "cut-of";
const CORRECTED = "corrected";
const OF_PEOPLE = ["cutout", "matte", "persons", "zip"];
/** What of a recipe leaves the people as they were cut out. */
const BEHIND = new Set("background shadow outline light_wrap harmonise filters seed".split(" "));

/** Which version of a photo is shown, where it is not the newest (after undo). */
const shown = signal(JSON.parse(sessionStorage.getItem(SHOWN) ?? "{}"));

const ids = computed(() => photoIds([...jobs.value.values()]));

/** Return what stands for a job's photo; of a job that the page knows no more, its own id. */
export function photoIdOf(job) {
  return ids.value.get(job.id) ?? job.id;
}

/** Jobs as they are shown, by jobs as the service told them. */
const lent = new WeakMap();

/** Photos, the newest first: `{id, versions: jobs, oldest first, current: job}`. */
export const photos = computed(() => {
  const byPhoto = new Map();
  const known = [...jobs.value.values()].sort((a, b) => b.created_at.localeCompare(a.created_at));
  for (const job of known) {
    const id = photoIdOf(job);
    byPhoto.set(id, [job, ...(byPhoto.get(id) ?? [])]);
  }
  return [...byPhoto].map(([id, told]) => {
    const versions = withParents(told);
    return { id, versions, current: currentOf(id, versions) };
  });
});

/** Return versions, oldest first, with what their parents have in common with them. */
function withParents(versions) {
  const byId = new Map();
  for (const job of versions) {
    const parent = byId.get(job.metadata[CUT_OF] === job.parent_id ? job.parent_id : null);
    const borrows = job.state === "succeeded" && parent !== undefined;
    byId.set(job.id, borrows ? lentBy(parent, job) : job);
  }
  return [...byId.values()];
}

/** Return a job with its parent's cut-out and matte; the same object for as long as both are. */
function lentBy(parent, job) {
  const known = lent.get(job);
  if (known?.parent === parent) return known.job;
  const made = { ...job, outputs: { ...peopleOf(parent.outputs), ...job.outputs } };
  lent.set(job, { parent, job: made });
  return made;
}

function peopleOf(outputs) {
  return Object.fromEntries(Object.entries(outputs).filter(([name]) => OF_PEOPLE.includes(name)));
}

/** Return how often people have corrected by hand what a version was made of, in the studio. */
export function timesCorrected({ metadata }) {
  return Number.parseInt(metadata[CORRECTED] ?? "0", 10) || 0;
}

/** Show a version of its photo. */
export function show(job) {
  shown.value = { ...shown.value, [photoIdOf(job)]: job.id };
  sessionStorage.setItem(SHOWN, JSON.stringify(shown.value));
}

/**
 * Make another version of a job's photo, whose recipe differs, and show it; return its job.
 *
 * recipe: names that are to be otherwise, as `POST …/derive` takes them. correctionId: of a
 * correction of that job that it applies. file: a background to send along. Throws Problem, Away
 * or AbortError.
 */
export async function derive(job, recipe, options) {
  const derived = await askToDerive(job, recipe, options);
  put(derived);
  show(derived);
  return derived;
}

/** Ask for another version as `derive` does; return its job, which the page does not know yet. */
export async function askToDerive(job, recipe, { correctionId, file, signal: aborted } = {}) {
  const isBehind = !correctionId && Object.keys(recipe).every((name) => BEHIND.has(name));
  const had = Object.keys({ image: 1, thumbnail: 1, ...job.outputs });
  const wanted = {
    // Somebody looks at it and waits: photos that came by the dozen may go behind.
    priority: "interactive",
    outputs: isBehind ? had.filter((name) => !OF_PEOPLE.includes(name)) : had,
    ...recipe,
    metadata: {
      ...recipe.metadata,
      studio: photoIdOf(job),
      ...(isBehind ? { [CUT_OF]: job.id } : {}),
      ...(correctionId ? { [CORRECTED]: String(timesCorrected(job) + 1) } : {}),
    },
  };
  const body =
    file == null
      ? { json: { recipe: wanted, correction_id: correctionId } }
      : { form: formOf(wanted, { background_file: file, correction_id: correctionId }) };
  return ask("POST", `/v1/jobs/${job.id}/derive`, {
    ...body,
    headers: { "Idempotency-Key": `"${newId()}"` },
    signal: aborted,
  });
}

/** Return a recipe as a form has it, with further parts; what is null is not said. */
function formOf(recipe, parts) {
  const form = new FormData();
  const add = (name, value) => {
    if (value === null || value === undefined) return;
    if (Array.isArray(value)) value.forEach((one) => add(name, one));
    else if (name === "filters" && typeof value === "object") addFilter(value);
    else if (typeof value === "object" && !(value instanceof Blob)) {
      for (const [below, one] of Object.entries(value)) add(`${name}.${below}`, one);
    } else form.append(name, value);
  };
  const addFilter = ({ name, params }) => {
    form.append("filters", name);
    add(`filters.${name}`, params);
  };
  for (const [name, value] of Object.entries({ ...recipe, ...parts })) add(name, value);
  return form;
}

function currentOf(id, versions) {
  return versions.find((job) => job.id === shown.value[id]) ?? versions.at(-1);
}
