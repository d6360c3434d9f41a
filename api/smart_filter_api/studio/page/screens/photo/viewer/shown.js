/** What the viewer shows while versions come and go: never less than the last that was whole. */

import { useEffect, useState } from "preact/hooks";
import { reachable } from "../../../service/api.js";
import { forget } from "../../../state/jobs.js";
import { picture } from "./pictures.js";

/** The pictures that a mode is made of; `photo` is the job's, others are outputs. */
const MADE_OF = {
  compare: ["photo", "image"],
  image: ["image"],
  photo: ["photo"],
  matte: ["matte"],
  cutout: ["cutout"],
};

/** Return the version to be looked at: the current one, or while it is not done what it was made of. */
export function pictured({ versions, current }) {
  let job = current;
  // After undo the newest before it may be another one.
  while (job !== undefined && job.state !== "succeeded") {
    const { parent_id: parent } = job;
    job = versions.find((one) => one.id === parent);
  }
  return job ?? current;
}

/**
 * Return the output that a mode needs and the job does not have, else null.
 *
 * A job that was submitted elsewhere may have been asked for less.
 */
export function lacking(job, mode) {
  if (job.state !== "succeeded") return null;
  return MADE_OF[mode].find((name) => name !== "photo" && !job.outputs[name]) ?? null;
}

/**
 * Fetch and decode what a mode shows of a photo; return it when all of it can be put up at once.
 *
 * `shown`: `{job, space (see View), pictures: {name: picture}, photoError?}` or null; it stays until the
 * next is whole. In the mode compare `photoError` says why there is nothing to compare with.
 * `error`: why nothing came. `again`: try once more.
 */
export function useShown(photo, mode) {
  const [shown, setShown] = useState(null);
  const [error, setError] = useState(null);
  const [attempt, setAttempt] = useState(0);
  const job = pictured(photo);
  const isDone = job.state === "succeeded";
  // Before anything is made, the photo can be looked at.
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
        // Of what is not done, the photo is an extra.
        if (!isWanted || !isDone) return;
        // Somebody deleted it elsewhere: another version may be there, or the screen says so.
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

/** Return what a view is told; of a job that composed nothing, the photo is the frame. */
function spaceOf(job, mode) {
  const { width, height } = job.photo;
  const frame = job.frame ?? { width, height, scale: 1, left: 0, top: 0 };
  return { mode, photo: { width, height }, frame };
}
