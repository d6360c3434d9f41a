/** From strokes to a picture. */

import { change } from "../../../../state/changes.js";
import { send, settle, strokesOf } from "../../../../state/corrections.js";
import { picture } from "../../viewer/pictures.js";

// What refusals point to (docs/contract.md).
const TOO_MANY_HERE = "";
const TOO_MANY_IN_ALL = "/correction_id";

/** Make a picture with what was painted; until it is there, nothing of that is forgotten. */
export function apply(photo, view) {
  const drawn = strokesOf(photo.id);
  change(photo, {}, null, {
    send: (job) => send(photo.id, job, drawn),
    done: async (job) => {
      // Strokes go when what they ask for can be seen in their place.
      const { image, matte } = job.outputs;
      await Promise.allSettled([image, matte].filter(Boolean).map(picture));
      settle(photo.id, drawn);
      if (view.mode.value === "photo") view.mode.value = "image";
    },
  });
}

/** Return what went wrong, in the words of whoever paints. */
export function inWords(error) {
  const pointers = (error.errors ?? []).map(({ pointer }) => pointer);
  if (error.code !== "invalid_request") return error;
  if (pointers.includes(TOO_MANY_IN_ALL)) {
    return {
      title: "This picture holds as many corrections as it can",
      detail: "A picture carries 16 rounds of corrections, or 20,000 points of strokes.",
      remedy: "Step back to an earlier version, and paint what is missing there in one go.",
    };
  }
  if (pointers.includes(TOO_MANY_HERE)) {
    return {
      title: "This version was corrected 20 times",
      detail: "More corrections are not kept of one version. Your strokes are still here.",
      remedy: "Step back to an earlier version, and apply them there.",
    };
  }
  return error;
}
