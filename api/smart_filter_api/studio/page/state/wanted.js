/** Settings for new photos; the browser stores them. */

import { signal } from "@preact/signals";

const PLACE = "smart-filter.wanted";
/** Outputs that the studio shows for each photo. */
export const OUTPUTS = "image,cutout,matte,regions,thumbnail,faces,rating,printability";
const FIRST = { kind: "auto", color: "#f2c14e", blur: 0.5, keywords: "" };

/** The background: its kind, and the last value of each kind. */
export const wanted = signal(read());

/** Change the settings. */
export function want(fields) {
  wanted.value = { ...wanted.value, ...fields };
  localStorage.setItem(PLACE, JSON.stringify(wanted.value));
}

/** Return the recipe fields of the settings. */
export function fieldsWanted() {
  return { background: background(wanted.value), outputs: OUTPUTS };
}

function background({ kind, color, blur, keywords }) {
  if (kind === "color") return `color:${color}`;
  if (kind === "blur") return `blur:${blur}`;
  const words = keywords.split(",").map((word) => word.trim()).filter(Boolean);
  if (kind === "keywords") return words.length > 0 ? `keywords:${words.join(",")}` : "auto";
  return kind;
}

function read() {
  try {
    return { ...FIRST, ...JSON.parse(localStorage.getItem(PLACE)) };
  } catch {
    return FIRST;
  }
}
