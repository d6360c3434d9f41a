/** Deletes photos with all their versions, and brings them back within a minute. */

import { ask } from "../service/api.js";
import { run } from "./bulk.js";
import { act } from "./choices.js";
import { hide, unhide } from "./jobs.js";

/**
 * Delete the photos of a choice as an action of state/bulk.js; return `{done, failures, until, undo}`.
 *
 * photos: those of the choice that this page knows; they are hidden at once. title: of the action.
 * again: as of `run`. failures: their number. undo: brings the photos back, until the time `until`.
 */
export async function deletePhotos(choice, photos, { title, again }) {
  const hidden = new Map(photos.map(({ current, versions }) => [current.id, versions]));
  hide([...hidden.values()].flat());
  let until = 0;
  const work = async ({ signal, set, fail }) => {
    set({ total: choice.photos });
    let done = 0;
    await act(choice, "delete", {
      signal,
      onStep: (step) => {
        done += step.done;
        until = Date.parse(step.undo_until);
        set({ done });
        fail(step.failures);
        unhide(step.failures.flatMap(({ job_id: id }) => hidden.get(id) ?? []));
      },
    });
  };
  const { done, failures, isStopped } = await run(title, work, { again });
  // A failure of the whole action leaves photos that were not reached.
  if (isStopped || failures.some(({ id }) => id === null)) unhide([...hidden.values()].flat());
  return { done, failures: failures.length, until, undo: () => restore(choice, hidden) };
}

async function restore({ id }, hidden) {
  await ask("POST", `/v1/choices/${id}/restore`);
  unhide([...hidden.values()].flat());
}
