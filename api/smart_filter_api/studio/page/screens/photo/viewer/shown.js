/** Chooses what the viewer shows while versions load: the last complete one stays until then. */

import { useEffect, useState } from "preact/hooks";
import { reachable } from "../../../service/api.js";
import { forget } from "../../../state/jobs.js";
import { picture } from "./pictures.js";

/** The pictures of each mode; `photo` is the job's photo, others are outputs. */
const MADE_OF = {
  compare: ["photo", "image"],
  image: ["image"],
  photo: ["photo"],
  matte: ["matte"],
  cutout: ["cutout"],
};

/** Return the version to show: the current one, or its nearest finished ancestor. */
export function pictured({ versions, current }) {
  let job = current;
  // After undo, the version before it in the list may be another branch.
  while (job !== undefined && job.state !== "succeeded") {
    const { parent_id: parent } = job;
    job = versions.find((one) => one.id === parent);
  }
  return job ?? current;
}

/**
 * Return the output that a mode needs and the job does not have, else null.
 *
 * A job that was submitted elsewhere may have fewer outputs.
 */
export function lacking(job, mode) {
  if (job.state !== "succeeded") return null;
  return MADE_OF[mode].find((name) => name !== "photo" && !job.outputs[name]) ?? null;
}

/**
 * Load what a mode shows of a photo; return it when all its pictures are decoded.
 *
 * `shown`: `{job, space (see View), pictures: {name: picture}, photoError?}` or null; it stays until
 * the next one is complete. In the mode compare, `photoError` says why the photo is missing.
 * `error`: why loading failed. `again`: retry.
 */
export function useShown(photo, mode) {
  const [shown, setShown] = useState(null);
  const [error, setError] = useState(null);
  const [attempt, setAttempt] = useState(0);
  const job = pictured(photo);
  const isDone = job.state === "succeeded";
  // Without a finished version, only the photo can be shown.
  const wanted = isDone ? mode : "photo";
  const canLoad = job.photo !== null && lacking(job, wanted) === null;
  useEffect(() => {
    setError(null);
    if (!canLoad) return undefined;
    let isWanted = true;
    load(job, wanted).then(
      (whole) => {
        if (isWanted) setShown(whole);
      },
      (reason) => {
        // For an unfinished version, the photo is optional.
        if (!isWanted || !isDone) return;
        // Deleted elsewhere: show another version, or the screen's message.
        if (reason.code === "job_deleted") forget(job.id);
        else setError(reason);
      },
    );
    return () => {
      isWanted = false;
    };
  }, [job.id, isDone, wanted, canLoad, attempt]);
  useEffect(() => {
    if (reachable.value && error?.code === "away") setAttempt(attempt + 1);
  }, [reachable.value]);
  return { shown, error, again: () => setAttempt(attempt + 1) };
}

async function load(job, mode) {
  const paths = { photo: job.links.photo, ...job.outputs };
  const pictures = {};
  let photoError;
  for (const name of MADE_OF[mode]) {
    try {
      pictures[name] = await picture(paths[name]);
    } catch (error) {
      if (mode !== "compare" || name !== "photo" || ![404, 410].includes(error.status)) throw error;
      photoError = error;
    }
  }
  const possible = photoError ? "image" : mode;
  return { job, space: spaceOf(job, possible), pictures, photoError };
}

/** Return the view's space; without a composed image, the photo is the frame. */
function spaceOf(job, mode) {
  const { width, height } = job.photo;
  const frame = job.frame ?? { width, height, scale: 1, left: 0, top: 0 };
  return { mode, photo: { width, height }, frame };
}
