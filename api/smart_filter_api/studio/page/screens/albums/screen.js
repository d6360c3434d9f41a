/** Albums: the list, a new album, an album during its upload, and an album of the service. */

import { html } from "../../html.js";
import { albumDrafts, areRestored } from "../../state/album-drafts.js";
import { Album } from "./album.js";
import { List } from "./list.js";
import { NewAlbum } from "./new-album.js";
import { OnItsWay } from "./on-its-way.js";

/** words: empty for the list, `new`, or an album's id. */
export function Albums({ words: [id] }) {
  if (!id) return html`<${List} />`;
  if (id === "new") return html`<${NewAlbum} />`;
  const draft = albumDrafts.value.find((one) => one.id === id);
  if (draft !== undefined) return html`<${OnItsWay} draft=${draft} />`;
  if (!areRestored.value) return html`<p class="soft" role="status">Reading the album…</p>`;
  return html`<${Album} id=${id} />`;
}
