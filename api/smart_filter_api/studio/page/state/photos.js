/**
 * Photos and their versions.
 *
 * Each version is a job. The studio's jobs carry the same `metadata.studio`, which derived jobs
 * inherit (state/origins.js); for a job that was submitted elsewhere, its own id stands for the photo.
 *
 * Another background does not change the cutout. So a version that differs only in its background is
 * made without cutout, matte and regions, which would double its time, and uses its parent's:
 * `metadata.cut-of` names the parent (except in a job that inherited it from such a version).
 *
 * Corrections apply to all versions derived from the corrected one, and so does
 * `metadata.corrected`, their number: the service keeps corrections, but lists them only with the
 * version they were painted on.
 */

import { computed, signal } from "@preact/signals";
import { ask } from "../service/api.js";
import { newId, newestFirst } from "../service/ids.js";
import { readStored, store } from "../service/stored.js";
import { jobs, put } from "./jobs.js";
import { photoIds } from "./origins.js";

const SHOWN = "smart-filter.shown";
const CUT_OF = "cut-of";
const CORRECTED = "corrected";
const OF_PEOPLE = ["cutout", "matte", "persons", "zip", "regions"];
/** Recipe fields that do not change the cutout. */
const BEHIND = new Set(
  "background shadow outline light_wrap harmonize filters seed priority".split(" "),
);

/** Version of each photo that is shown, if it is not the newest (after undo). */
const shown = signal(readStored("sessionStorage", SHOWN) ?? {});

const ids = computed(() => photoIds([...jobs.value.values()]));

/** Return the id of a job's photo; for a job that the page no longer knows, its own id. */
export function photoIdOf(job) {
  return ids.value.get(job.id) ?? job.id;
}

/** Shown jobs by the jobs of the service. */
const lent = new WeakMap();

/** Photos, newest first by the time in their ids: `{id, versions: jobs, oldest first, current: job}`. */
export const photos = computed(() => {
  const byPhoto = new Map();
  const known = [...jobs.value.values()].sort((a, b) => a.created_at < b.created_at ? 1 : Number(a.created_at === b.created_at) - 1);
  for (const job of known) {
    const id = photoIdOf(job);
    byPhoto.set(id, [job, ...(byPhoto.get(id) ?? [])]);
  }
  const all = [...byPhoto].map(([id, ofPhoto]) => {
    const versions = withParents(ofPhoto);
    return { id, versions, current: currentOf(id, versions) };
  });
  return newestFirst(all);
});

/** Return versions, oldest first, with the outputs they share with their parents. */
function withParents(versions) {
  const byId = new Map();
  for (const job of versions) {
    const parent = byId.get(job.metadata[CUT_OF] === job.parent_id ? job.parent_id : null);
    const borrows = job.state === "succeeded" && parent !== undefined;
    byId.set(job.id, borrows ? lentBy(parent, job) : job);
  }
  return [...byId.values()];
}

/** Return a job with its parent's cutout and matte; the same object while both are unchanged. */
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

/** Return the number of manual corrections in a version, made in the studio. */
export function timesCorrected({ metadata }) {
  return Number.parseInt(metadata[CORRECTED] ?? "0", 10) || 0;
}

/** Show the newest version of each photo. */
export function showNewest() {
  shown.value = {};
  store("sessionStorage", SHOWN, {});
}

/** Return the ids of the versions that are shown instead of newer ones. */
export function olderShown() {
  return photos.peek().filter(({ versions, current }) => current !== newestOf(versions))
    .map(({ current }) => current.id);
}

/** Show a version of its photo. */
export function show(job) {
  shown.value = { ...shown.value, [photoIdOf(job)]: job.id };
  store("sessionStorage", SHOWN, shown.value);
}

/**
 * Derive another version of a job's photo, and show it; return its job.
 *
 * recipe: the changed names, as `POST …/derive` takes them. correctionId: a correction of that job to
 * apply. file: a background to send along. faces: of a take, the item of a person's face, by the
 * person's number. Throws Problem, Away or AbortError.
 */
export async function derive(job, recipe, options) {
  const derived = await askToDerive(job, recipe, options);
  put(derived);
  show(derived);
  return derived;
}

/**
 * Derive a version as `derive` does; return its job without storing it in the page.
 *
 * key: an idempotency key, the same for all attempts at one version.
 */
export async function askToDerive(
  job, recipe, { correctionId, file, faces, key, signal: aborted } = {},
) {
  const isBehind = !correctionId && !faces && Object.keys(recipe).every((name) => BEHIND.has(name));
  const had = Object.keys({ image: 1, thumbnail: 1, ...job.outputs });
  const wanted = {
    // The user waits for it: photos uploaded in bulk may wait.
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
      ? { json: { recipe: wanted, correction_id: correctionId, faces } }
      : { form: formOf(wanted, { background_file: file, correction_id: correctionId }) };
  return ask("POST", `/v1/jobs/${job.id}/derive`, {
    ...body,
    headers: { "Idempotency-Key": `"${key ?? newId()}"` },
    signal: aborted,
  });
}

/** Return a recipe as form data, with further parts; null values are omitted. */
export function formOf(recipe, parts) {
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
  return versions.find((job) => job.id === shown.value[id] && !isWithdrawn(job)) ?? newestOf(versions);
}

function newestOf(versions) {
  return versions.findLast((job) => !isWithdrawn(job)) ?? versions.at(-1);
}

/** Return whether a derived version was canceled: the photo shows the one before. */
function isWithdrawn({ state, parent_id: parent }) {
  return state === "canceled" && parent !== null;
}
