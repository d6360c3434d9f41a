/** Albums: the list of them, a new one, one on its way, and one that the service has. */

import { html } from "../../html.js";
import { albumDrafts, areRestored } from "../../state/album-drafts.js";
import { Album } from "./album.js";
import { List } from "./list.js";
import { NewAlbum } from "./new-album.js";
import { OnItsWay } from "./on-its-way.js";

/** words: nothing for the list, `new`, or the id of an album. */
export function Albums({ words: [id] }) {
  if (!id) return html`<${List} />`;
  if (id === "new") return html`<${NewAlbum} />`;
  const draft = albumDrafts.value.find((one) => one.id === id);
  if (draft !== undefined) return html`<${OnItsWay} draft=${draft} />`;
  if (!areRestored.value) return html`<p class="soft" role="status">Reading the album…</p>`;
  return html`<${Album} id=${id} />`;
}
