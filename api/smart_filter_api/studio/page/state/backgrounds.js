/** What the service can put behind people: its designs, the words for them, and filters. */

import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask } from "../service/api.js";
import { session } from "./session.js";

const FIRST = ["tenant", "site", "generated"];

/** Designs and pictures, one's own first: as `GET /v1/backgrounds` lists them. */
export const library = held("/v1/backgrounds", (items) =>
  items.sort((one, other) => FIRST.indexOf(one.source) - FIRST.indexOf(other.source)),
);
/** Words that backgrounds are asked for by: `{word, kind, count}`. */
export const vocabulary = held("/v1/backgrounds/keywords");
/** Filters: `{name, title, needs, parameters}`. */
export const filters = held("/v1/filters");

/** Read a list when it is first shown; return `{items: []|null, error, again}`. */
export function useHeld(list) {
  useEffect(list.load, []);
  return { items: list.items.value, error: list.error.value, again: list.load };
}

/** Return the design of a name, and the one that it is printed on in `rainbow+linen`. */
export function designOf(name) {
  const [first, second] = name.split("+");
  const named = (one) => library.items.value?.find((design) => design.name === one);
  return { design: named(first), surface: named(second) };
}

function held(path, arranged = (items) => items) {
  const list = { items: signal(null), error: signal(null), load };
  let asking = null;
  function load() {
    if (list.items.value === null) asking ??= read();
  }
  async function read() {
    list.error.value = null;
    try {
      list.items.value = arranged((await ask("GET", path)).items);
    } catch (error) {
      list.error.value = error;
    }
    asking = null;
  }
  // Pictures of one's own are of whoever is signed in.
  effect(() => {
    if (session.value.state !== "in") list.items.value = null;
  });
  return list;
}
