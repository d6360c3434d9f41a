/** The service's backgrounds, their keywords, and filters. */

import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask } from "../service/api.js";
import { session } from "./session.js";

const FIRST = ["tenant", "site", "generated"];

/** Designs and pictures, the tenant's own first, from `GET /v1/backgrounds`. */
export const library = held("/v1/backgrounds", (items) =>
  items.sort((one, other) => FIRST.indexOf(one.source) - FIRST.indexOf(other.source)),
);
/** Keywords of backgrounds: `{word, kind, count}`. */
export const vocabulary = held("/v1/backgrounds/keywords");
/** Filters: `{name, title, needs, parameters}`. */
export const filters = held("/v1/filters");

/** Read a list at its first use; return `{items: []|null, error, again}`. */
export function useHeld(list) {
  useEffect(list.load, []);
  return { items: list.items.value, error: list.error.value, again: list.load };
}

/** Return the design of a name, and its surface texture as in `rainbow+linen`. */
export function designOf(name) {
  const [first, second] = name.split("+");
  const named = (one) => library.items.value?.find((design) => design.name === one);
  return { design: named(first), surface: named(second) };
}

/**
 * Return a list of the service that is read at its first use: `{items, error, load, reload}`.
 *
 * arranged: returns the items to hold, of those of an answer and the whole answer.
 */
export function held(path, arranged = (items) => items) {
  const list = { items: signal(null), error: signal(null), load, reload: read };
  let asking = null;
  function load() {
    if (list.items.value === null) asking ??= read();
  }
  async function read() {
    list.error.value = null;
    try {
      const answer = await ask("GET", path);
      list.items.value = arranged(answer.items, answer);
    } catch (error) {
      list.error.value = error;
    }
    asking = null;
  }
  // Added pictures belong to the signed-in tenant.
  effect(() => {
    if (session.value.state !== "in") list.items.value = null;
  });
  return list;
}
