/** Makes versions of many photos, as one action of state/bulk.js. */

import { pause, run } from "./bulk.js";
import { act, choose, look } from "./choices.js";
import { lookNow } from "./following.js";
import { hide, jobs } from "./jobs.js";
import { formOf, showNewest } from "./photos.js";

const LOOKS_EVERY_MS = 1500;
// A version with another background uses the cutout of the one before: see state/photos.js.
const OF_PEOPLE = ["cutout", "matte", "persons", "zip", "regions"];

/**
 * Derive a version of each photo of a choice; return what `run` returns.
 *
 * wanted: the choice. recipe: the changed names. instead: the same for pictures that contradict it.
 * file: a background to send along. isBehind: whether the cutout stays the same. whole: called with
 * the choice once all are made.
 */
export function remake(wanted, options) {
  const { title, recipe, instead, file, isBehind, whole } = options;
  let choice = null;
  const made = [];
  const work = async ({ signal, set, fail }) => {
    choice = await choose(wanted, signal);
    const { photos: total } = choice;
    set({ total });
    showNewest();
    const query = isBehind ? `leave_out=${OF_PEOPLE}` : "";
    const derive = async (from, changes, onFailures) => act(from, "derive", {
      ...bodyOf(changes, { file, isBehind }),
      ...{ query, signal },
      onStep: ({ failures, jobs: ids }) => {
        onFailures(failures);
        made.push(...ids);
        lookNow();
      },
    });
    let refused = 0;
    const refuse = (failures) => {
      refused += failures.length;
      fail(failures);
    };
    const contradicting = [];
    await derive(choice, recipe, (failures) => {
      const mayDiffer = ({ error }) => instead !== undefined && error.code === "contradiction";
      contradicting.push(...failures.filter(mayDiffer));
      refuse(failures.filter((failure) => !mayDiffer(failure)));
    });
    if (contradicting.length > 0) {
      const photos = contradicting.map(({ job_id: id }) => id);
      await derive(await choose({ photos }, signal), instead, refuse);
    }
    for (;;) {
      choice = await look(choice, signal);
      set({ done: total - refused - choice.making - choice.failures.length });
      if (choice.making === 0) break;
      await pause(LOOKS_EVERY_MS, signal);
    }
    fail(choice.failures);
    // A photo keeps the picture from before instead of a failed one.
    if (choice.failures.length > 0) await discard(choice, made, { signal });
    await whole?.(choice, signal);
    lookNow();
  };
  const stopped = async () => {
    if (choice !== null) await discard(choice, made, {}).catch(() => {});
    lookNow();
  };
  const again = (ids) => remake({ photos: ids }, options);
  return run(title, work, { again, stopped });
}

/** Delete the made jobs that have not succeeded. They are hidden first, so that the page follows none. */
function discard(choice, made, options) {
  hide(made.map((id) => jobs.peek().get(id)).filter((job) => job && job.state !== "succeeded"));
  return act(choice, "discard", options);
}

function bodyOf(changes, { file, isBehind }) {
  const recipe = {
    // Other users' single photos come first.
    priority: "standard",
    ...changes,
    metadata: { studio: "{photo}", ...(isBehind ? { "cut-of": "{job}" } : {}) },
  };
  return file == null ? { json: { recipe } } : { form: formOf(recipe, { background_file: file }) };
}
