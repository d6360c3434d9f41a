/** Words of the service with names of the contract in them. */

import { html } from "../html.js";

/** Text of the service, in which names stand between backticks. */
export function Coded({ text }) {
  return text.split("`").map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}
