/** Settings for new photos; the browser stores them. */

import { signal } from "@preact/signals";
import { keepPicture, keptPicture } from "../service/drafts.js";
import { readStored, store } from "../service/stored.js";
import { FIRST_CHOICE, backgroundOf } from "./background-choice.js";

const PLACE = "smart-filter.wanted";
/** Outputs that the studio shows for each photo. */
export const OUTPUTS = "image,cutout,matte,regions,thumbnail,faces,rating,printability";
const FIRST = { ...FIRST_CHOICE, shape: "", framing: "false", format: "auto", recipe: null,
  logo: "", logoPlace: "bottom-right" };

/**
 * A background choice (state/background-choice.js), with shape, framing, format, recipe and logo.
 *
 * recipe: the saved one as `{name, fields}`, or null; its fields take precedence over the others.
 * logo: the name of one; "" for none.
 */
export const wanted = signal({ ...FIRST, ...readStored("localStorage", PLACE) });

let tenant = null;

/** Load a tenant's own background picture, which IndexedDB keeps. */
export async function loadPicture(whose) {
  tenant = whose;
  wanted.value = { ...wanted.value, picture: null };
  const picture = await keptPicture(whose);
  if (tenant === whose && wanted.value.picture === null) wanted.value = { ...wanted.value, picture };
}

/** Change the settings. */
export function want(fields) {
  wanted.value = { ...wanted.value, ...fields };
  store("localStorage", PLACE, { ...wanted.value, picture: null });
  if (fields.picture) keepPicture(tenant, fields.picture);
}

/** Return the form fields of the settings. mayUpload: whether an own picture can be sent along. */
export function fieldsWanted({ mayUpload = true } = {}) {
  const { shape, framing, format, picture, recipe, logo, logoPlace } = wanted.value;
  const saved = recipe?.fields ?? {};
  const background = backgroundOf(wanted.value);
  const isTransparent = (saved.background ?? background) === "transparent";
  const isFile = background === "file";
  // A file selects itself.
  const behind = !isFile ? { background } : mayUpload ? { background_file: picture } : { background: "auto" };
  return {
    ...(recipe === null ? {} : { recipe: recipe.name }),
    ...("background" in saved ? {} : behind),
    outputs: OUTPUTS,
    ...(shape === "" || hasShape(saved) ? {} : { size: shape }),
    ...(framing === "false" || "crop" in saved ? {} : { crop: framing }),
    ...(logo === "" || "logo" in saved ? {} : { logo, logo_place: logoPlace }),
    // JPEG has no transparency.
    ...(format === "auto" || "format" in saved || (format === "jpg" && isTransparent) ? {} : { format }),
  };
}

/** Return the fields of the settings as a recipe to be saved, with those of the chosen one. */
export function recipeWanted() {
  const { recipe: _, outputs: __, ...fields } = fieldsWanted({ mayUpload: false });
  // An own picture is sent with each photo, not stored.
  if (wanted.value.kind === "file") delete fields.background;
  return { ...wanted.value.recipe?.fields, ...fields };
}

/** Return whether a recipe sets the shape or size of pictures. */
export function hasShape(fields) {
  return "size" in fields || "aspect" in fields;
}
