/** What photos get that are added from now on; the browser remembers it. */

import { signal } from "@preact/signals";

const PLACE = "smart-filter.wanted";
/** What the studio shows of each photo. */
export const OUTPUTS = "image,cutout,matte,thumbnail,faces,rating,printability";
const FIRST = { kind: "auto", color: "#f2c14e", blur: 0.5, keywords: "" };

/** The background: its kind, and what each kind was last given. */
export const wanted = signal(read());

/** Want something else. */
export function want(told) {
  wanted.value = { ...wanted.value, ...told };
  localStorage.setItem(PLACE, JSON.stringify(wanted.value));
}

/** Return the fields of a recipe that makes it. */
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
