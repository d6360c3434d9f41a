/** The current place in the studio: the part of the address after `#`. */

import { signal } from "@preact/signals";

/** The words between slashes: `#/photo/ID` is `["photo", "ID"]`, `#/` is `[""]`. */
export const place = signal(read());
/** What follows a question mark in them: `#/booth?recipe=NAME`. */
export const query = signal(readQuery());

addEventListener("hashchange", () => {
  place.value = read();
  query.value = readQuery();
});

/** Go to a place, such as `photo/ID`. */
export function go(path) {
  location.hash = `#/${path}`;
}

function read() {
  return location.hash.replace(/^#\/?/, "").replace(/\?.*/, "").split("/").map(decoded);
}

function readQuery() {
  return new URLSearchParams(location.hash.replace(/^[^?]*/, ""));
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}
