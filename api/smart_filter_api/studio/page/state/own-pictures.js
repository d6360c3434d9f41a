/** The tenant's own pictures, which the service stores: backgrounds and logos. */

import { signal } from "@preact/signals";
import { ask, call } from "../service/api.js";
import { held, library } from "./backgrounds.js";
import { nameFrom } from "./saved-recipes.js";
import { session } from "./session.js";
import { want, wanted } from "./wanted.js";

const PATH = "/v1/backgrounds/tenant";
const SCOPE = "admin";
const POLL_MS = 400;
// A worker reads a picture within seconds; more mean that none is running.
const PATIENCE_MS = 60_000;
// Other processes of the service see a new picture after a second.
const LISTED_TRIES = 5;
const MOST_TITLE = 100;

/** `{name, use, title, state, thumbnail, error}` each, from `GET /v1/backgrounds/tenant`. */
export const ownPictures = held(PATH);
/** Names of the files that are being added, by use. */
export const adding = signal({ background: null, logo: null });

/** Return whether the session may add and delete pictures. */
export function mayAddPictures() {
  return session.value.scopes?.includes(SCOPE) ?? false;
}

/**
 * Store a File as a picture of the tenant's own; return it when a worker has read it.
 *
 * use: "background" or "logo". Throws as `call` does, or `{title, detail, remedy}`.
 */
export async function addPicture(file, use) {
  adding.value = { ...adding.value, [use]: file.name };
  try {
    return await store(file, use);
  } finally {
    adding.value = { ...adding.value, [use]: null };
    ownPictures.reload();
  }
}

/** Delete a picture. Throws as `call` does. */
export async function deletePicture({ name }) {
  await call("DELETE", pathOf(name));
  const { design, logo } = wanted.value;
  if (design === name) want({ design: null });
  if (logo === name) want({ logo: "" });
  const others = (list) => list.items.value?.filter((one) => one.name !== name) ?? null;
  ownPictures.items.value = others(ownPictures);
  library.items.value = others(library);
}

async function store(file, use) {
  const words = file.name.replace(/\.[^.]*$/, "").replace(/\p{C}/gu, "").trim().slice(0, MOST_TITLE);
  const name = freeName(nameFrom(words) || "picture", (await ask("GET", PATH)).items);
  const said = new URLSearchParams({ use, ...(words === "" ? {} : { title: words }) });
  let picture = await ask("PUT", `${PATH}/${name}?${said}`, { form: file });
  for (const until = Date.now() + PATIENCE_MS; picture.state === "pending"; ) {
    if (Date.now() > until) throw notRead();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    picture = await ask("GET", pathOf(picture.name));
  }
  if (picture.error !== null) {
    await call("DELETE", pathOf(picture.name));
    throw refused(file, picture.error);
  }
  if (use === "background") await untilListed(picture);
  return picture;
}

async function untilListed({ name }) {
  for (let tries = 0; tries < LISTED_TRIES; tries += 1) {
    await library.reload();
    if (library.items.value?.some((one) => one.name === name)) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Return the name, with a number when a picture has it: adding never replaces one. */
function freeName(name, items) {
  const taken = new Set(items.map((one) => one.name));
  for (let number = 1; ; number += 1) {
    const free = number === 1 ? name : `${name.slice(0, 60)}-${number}`;
    if (!taken.has(`tenant/${free}`)) return free;
  }
}

function pathOf(name) {
  return `${PATH}/${name.slice(name.indexOf("/") + 1)}`;
}

function refused(file, { detail }) {
  return {
    title: `${file.name} cannot be used`,
    detail: `${detail[0].toUpperCase()}${detail.slice(1)}.`,
    remedy: "Open it in a picture editor, save it as JPEG or PNG, and add that file.",
  };
}

function notRead() {
  return {
    title: "The picture is stored, but not read yet",
    remedy: "It appears among your pictures when the service has a free worker.",
  };
}
