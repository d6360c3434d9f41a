/** Buttons. */

import { html } from "../html.js";
import { Icon } from "./icon.js";

/**
 * A button with words, an icon, or both.
 *
 * kind: "" or any of "primary", "quiet", "danger", "small". icon: a name of icons. label: the
 * words of a button that shows its icon alone. Others go to the element.
 */
export function Button({ kind = "", icon, label, children, ...others }) {
  const isBare = children === undefined;
  return html`<button type="button" class=${`button ${kind} ${isBare ? "icon" : ""}`}
    aria-label=${label} title=${isBare ? label : undefined} ...${others}>
    ${icon && html`<${Icon} name=${icon} />`}${children}
  </button>`;
}
