/** Buttons. */

import { html } from "../html.js";
import { Icon } from "./icon.js";

/**
 * A button with text, an icon, or both.
 *
 * kind: "" or any of "primary", "quiet", "danger", "small". icon: an icon's name. label: the
 * text of a button that shows only an icon. Other properties go to the element.
 */
export function Button({ kind = "", icon, label, children, ...others }) {
  const isBare = children === undefined;
  return html`<button type="button" class=${`button ${kind} ${isBare ? "icon" : ""}`}
    aria-label=${label} title=${isBare ? label : undefined} ...${others}>
    ${icon && html`<${Icon} name=${icon} />`}${children}
  </button>`;
}
