/**
 * Choices of photos on the service: queries, on which it acts in steps.
 *
 * A choice may mean thousands of photos that this page has not read.
 */

import { ask } from "../service/api.js";
import { newId } from "../service/ids.js";
import { patiently } from "./bulk.js";

/** Photos that a choice may name one by one; MAX_NAMED of the service. */
export const MOST_NAMED = 800;

/** Make a choice; return it. wanted: as `POST /v1/choices` takes it. Throws Problem or Away. */
export function choose(wanted, signal) {
  return patiently(() => ask("POST", "/v1/choices", { json: wanted, signal }), signal);
}

/** Return a choice with its numbers of now. Throws Problem or Away. */
export function look({ id }, signal) {
  return patiently(() => ask("GET", `/v1/choices/${id}`, { signal }), signal);
}

/**
 * Do an action of a choice, step by step.
 *
 * onStep: called with the answer of each step. body: `json` or `form` of each request, and `query` as
 * text. Throws what ends the action.
 */
export async function act({ id }, action, { signal, onStep, query = "", ...body }) {
  let cursor = null;
  do {
    const after = cursor === null ? "" : `&cursor=${cursor}`;
    const path = `/v1/choices/${id}/${action}?${query}${after}`;
    // The same key for all attempts: a step whose answer was lost is not repeated.
    const headers = { "Idempotency-Key": `"${newId()}"` };
    const step = await patiently(() => ask("POST", path, { headers, signal, ...body }), signal);
    onStep?.(step);
    cursor = step.next_cursor ?? null;
  } while (cursor !== null);
}

/** Yield the finished pictures of a choice, `{job_id, name}`. pattern: of their names. */
export async function* picturesOf({ id }, pattern, signal) {
  let cursor = null;
  do {
    const query = new URLSearchParams({ filename: pattern });
    if (cursor !== null) query.set("cursor", cursor);
    const page = await patiently(() => ask("GET", `/v1/choices/${id}/pictures?${query}`, { signal }), signal);
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

/** Return the address of the zip of a choice. pattern: of the names in it. */
export function zipOf({ id }, pattern) {
  return `/v1/choices/${id}/zip?${new URLSearchParams({ filename: pattern })}`;
}
