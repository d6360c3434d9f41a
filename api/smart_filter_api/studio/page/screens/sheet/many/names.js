/** The names of files that are downloaded, as the recipe's `filename`. */

import { TextField } from "../../../controls/fields.js";
import { html } from "../../../html.js";

/** The photo's own name. */
export const USUAL_NAME = "{name}";
const HINT = "{name} is the photo's own name, {n} its number, {background} its background";

/** Return whether the service takes a pattern of names. */
export function isPattern(pattern) {
  return !/[{}]/.test(pattern.replaceAll(/\{(name|n|background)\}/g, ""));
}

/** A field for the pattern. examples: names that it gives. */
export function Names({ pattern, onChange, examples }) {
  return html`<div class="stack tight">
    <${TextField} label="Names" value=${pattern} maxlength="100" autocomplete="off" spellcheck=${false} hint=${HINT}
      wrong=${!isPattern(pattern) ? "Only {name}, {n} and {background} can stand in braces." : undefined}
      onInput=${(event) => onChange(event.currentTarget.value || USUAL_NAME)} />
    ${examples?.length > 0 && html`<p class="small" role="status" data-example>For example
      ${examples.map((name, index) => html`${index > 0 && ", "}<strong>${name}</strong>`)}</p>`}
  </div>`;
}
