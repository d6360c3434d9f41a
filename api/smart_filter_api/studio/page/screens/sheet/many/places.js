/** Buttons that choose where many pictures are saved. */

import { Button } from "../../../controls/button.js";
import { say, sayTrouble } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { saveAddress } from "../../../service/downloads.js";
import { canChooseFolder, folderPlace } from "../../../service/saving.js";
import { fetchBlob } from "../../../service/api.js";
import { patiently, run } from "../../../state/bulk.js";
import { picturesOf, zipOf } from "../../../state/choices.js";
import { counted } from "../../../words.js";

/**
 * onSave: called with a function that saves the pictures of a choice, with a pattern of their names.
 * isOff: whether nothing is to be saved yet.
 */
export function PlaceButtons({ onSave, isOff }) {
  return html`
    ${canChooseFolder && html`<${Button} icon="album" disabled=${isOff}
      onClick=${() => folderPlace().then((place) => onSave(intoFolder(place)), sayTrouble)}>Into a folder<//>`}
    <${Button} kind="primary" icon="download" disabled=${isOff} onClick=${() => onSave(asZip)}>As one zip<//>`;
}

/** The browser receives the zip by itself, and shows its progress. */
function asZip(choice, pattern) {
  saveAddress(zipOf(choice, pattern));
  say(`The browser downloads ${counted(choice.pictures, "picture")} as one zip.`);
}

function intoFolder(place) {
  return (choice, pattern) => run("Downloading pictures", async ({ signal, set, fail }) => {
    set({ total: choice.pictures, noun: "picture" });
    let done = 0;
    for await (const { job_id: id, name } of picturesOf(choice, pattern, signal)) {
      try {
        await place.put(await patiently(() => fetchBlob(`/v1/jobs/${id}/outputs/image`, { signal }), signal), name);
        set({ done: ++done });
      } catch (error) {
        if (signal.aborted) throw error;
        fail([{ job_id: id, name, error }]);
      }
    }
  });
}
