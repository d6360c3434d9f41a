/** Detected faces of a frame, as text. */

import { counted } from "../../words.js";

export const SMILES = { none: "No smile", mild: "Slight smile", moderate: "Smile", huge: "Big smile" };
export const TONES = { none: "", mild: "fair", moderate: "good", huge: "good" };

/** Return a suffix about closed eyes; "" when both are open or not visible. */
export function eyesInWords({ left_open: left, right_open: right }) {
  if (left === false && right === false) return " · eyes shut";
  return left === false || right === false ? " · one eye shut" : "";
}

/** Return a sentence about all faces. */
export function facesInWords(faces) {
  if (faces.length === 0) return "No face is visible.";
  const smiling = faces.filter(({ smile }) => TONES[smile.level] === "good").length;
  const shut = faces.filter(({ eyes }) => eyesInWords(eyes) !== "").length;
  const people = counted(faces.length, "face");
  const smiles = smiling === faces.length ? "all smiling" : `${smiling || "none"} smiling`;
  return `${people}, ${smiles}${shut > 0 ? `, ${counted(shut, "person blinks", "people blink")}` : ""}.`;
}
