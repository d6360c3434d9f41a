/** Buttons that choose where many pictures are saved. */

import { Button } from "../../../controls/button.js";
import { sayTrouble } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { canChooseFolder, folderPlace, zipPlace } from "../../../service/saving.js";

const ZIP = "pictures.smart-filter.zip";

/** onPlace: called with a place of service/saving.js. isOff: whether nothing is to be saved yet. */
export function PlaceButtons({ onPlace, isOff }) {
  return html`
    ${canChooseFolder && html`<${Button} icon="album" disabled=${isOff}
      onClick=${() => folderPlace().then(onPlace, sayTrouble)}>Into a folder<//>`}
    <${Button} kind="primary" icon="download" disabled=${isOff} onClick=${() => onPlace(zipPlace(ZIP))}>As one zip<//>`;
}
