/** Applies strokes to a picture. */

import { change } from "../../../../state/changes.js";
import { awaitIn, send, settle, stepBack, strokesOf, wasUndone } from "../../../../state/corrections.js";
import { picture } from "../../viewer/pictures.js";

// JSON pointer of refusals that are about no single stroke (docs/api/corrections.md).
const TOO_MANY = "/strokes";

/** Make a picture with the painted strokes; keeps them until it is finished. */
export function apply(photo) {
  const strokes = strokesOf(photo);
  change(photo, {}, null, {
    send: (job) => send(photo, job, strokes),
    made: (job) => awaitIn(photo, job, strokes),
    done: async (job) => {
      // Until the result is loaded, the strokes are shown on the version before it.
      const { image, matte } = job.outputs;
      await Promise.allSettled([image, matte].filter(Boolean).map(picture));
      settle(photo, job, strokes);
    },
  });
}

/** Undo the last stroke, also in the picture; return whether there was anything to undo. */
export function undo(photo) {
  if (!stepBack(photo)) return false;
  if (wasUndone(photo)) apply(photo);
  return true;
}

/** Return an error in the words of the painting tool. */
export function inWords(error) {
  const pointers = (error.errors ?? []).map(({ pointer }) => pointer);
  if (error.code !== "invalid_request") return error;
  if (pointers.includes(TOO_MANY)) {
    return {
      title: "This picture has the maximum number of corrections",
      detail: "The limits are 20 corrections of one version, and 16 rounds of corrections and 20,000 points of strokes"
        + " in all. Your strokes are still here.",
      remedy: "Go back to an earlier version, and paint all corrections there at once.",
    };
  }
  return error;
}
