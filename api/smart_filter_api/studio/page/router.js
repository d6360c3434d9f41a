/** The current place in the studio: the part of the address after `#`. */

import { signal } from "@preact/signals";

/** The words between slashes: `#/photo/ID` is `["photo", "ID"]`, `#/` is `[""]`. */
export const place = signal(read());

addEventListener("hashchange", () => {
  place.value = read();
});

/** Go to a place, such as `photo/ID`. */
export function go(path) {
  location.hash = `#/${path}`;
}

function read() {
  return location.hash.replace(/^#\/?/, "").split("/").map(decoded);
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}
