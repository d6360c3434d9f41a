/** A collapsible group of the form. */

import { useEffect, useState } from "preact/hooks";
import { html } from "../../../../html.js";

/** children: its content. badge: text next to its title. isWrong: opens it. */
export function Group({ title, badge, isWrong, children }) {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (isWrong) setOpen(true);
  }, [isWrong]);
  return html`<details class="group" open=${isOpen}
    onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><h3>${title}</h3>${badge}</summary>
    ${isOpen && html`<div class="stack inside">${children}</div>`}
  </details>`;
}
