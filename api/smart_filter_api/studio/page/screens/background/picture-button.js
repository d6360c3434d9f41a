/** A button that chooses a picture for the background. */

import { useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { html } from "../../html.js";
import { MOST_BYTES } from "../../service/formats.js";

const ACCEPTED = "image/jpeg,image/png,image/webp,image/avif,image/heic,image/heif";
const LIMIT = `${MOST_BYTES / 1e6} MB`;

/** Formats and the limit, as text. */
export const WHICH = `JPEG, PNG, WebP, AVIF or HEIC, up to ${LIMIT}. It fills the picture.`;

/** Return why a file cannot be used, as far as the browser can tell; "" if it can. */
export function faultOf(file) {
  if (file.size > MOST_BYTES) return `${file.name} is too large: the limit is ${LIMIT}.`;
  if (file.size === 0) return `${file.name} is empty.`;
  return "";
}

/** kind: of the button. label: of the file input. onPick: called with a usable File. */
export function PictureButton({ kind, label = "Picture for the background", onPick, children }) {
  const picker = useRef(null);
  const [wrong, setWrong] = useState("");
  const picked = ({ currentTarget }) => {
    const [file] = currentTarget.files;
    currentTarget.value = "";
    if (file === undefined) return;
    const fault = faultOf(file);
    setWrong(fault);
    if (fault === "") onPick(file);
  };
  return html`<${Button} kind=${kind} icon="upload" onClick=${() => picker.current.click()}>${children}<//>
    <input ref=${picker} type="file" accept=${ACCEPTED} hidden aria-label=${label}
      onChange=${picked} />
    ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}`;
}
