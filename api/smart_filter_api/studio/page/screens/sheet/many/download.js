/** The finished pictures of many photos, as they are. */

import { Dialog } from "../../../controls/dialog.js";
import { html } from "../../../html.js";
import { act } from "../../../state/bulk.js";
import { pictureOf } from "../../../state/remaking.js";
import { counted } from "../../../words.js";
import { fetchFile } from "../../photo/save/download.js";
import { stopSelecting } from "../selection.js";
import { PlaceButtons } from "./places.js";

/** Dialog that downloads entries' pictures. */
export function Download({ entries, onClose }) {
  const start = (place) => {
    fetchAll(entries, place);
    stopSelecting();
    onClose();
  };
  return html`<${Dialog} title=${`Download ${counted(entries.length, "picture")}`} onClose=${onClose}
    actions=${html`<${PlaceButtons} onPlace=${start} />`}>
    <p>The finished pictures are saved as they are. “Save as” saves them in another size or format.</p>
  <//>`;
}

function fetchAll(entries, place) {
  return act(entries, {
    title: "Downloading pictures",
    begin: async (entry, options) => place.put(await fetchFile(pictureOf(entry), "image", options), entry.id),
    whole: place.end,
    again: (others) => fetchAll(others, place),
  });
}
