/** Filters drawn on the picture, each with its parameters. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Check, Select, TextField } from "../../../../controls/fields.js";
import { Trouble } from "../../../../controls/notices.js";
import { html } from "../../../../html.js";
import { filters as list, useHeld } from "../../../../state/backgrounds.js";
import { change } from "../../../../state/changes.js";
import { Share } from "./share.js";

/** All filters of the service. */
export function Filters({ photo, recipe }) {
  const { items, error, again } = useHeld(list);
  if (error !== null) {
    return html`<${Trouble} error=${error}><${Button} kind="small" icon="refresh"
      onClick=${again}>Try again<//><//>`;
  }
  const asked = recipe.filters ?? [];
  const set = (name, params) => {
    const others = asked.filter((one) => one.name !== name);
    change(photo, { filters: params === null ? others : [...others, { name, params }] });
  };
  return html`<div class="stack tight">
    <h3>Extras</h3>
    ${(items ?? []).map(
      (filter) => html`<${Filter} key=${filter.name} filter=${filter}
        params=${asked.find((one) => one.name === filter.name)?.params ?? null}
        result=${photo.current.filters?.find((one) => one.name === filter.name)}
        onChange=${(params) => set(filter.name, params)} />`,
    )}
  </div>`;
}

/** One filter. params: null when it is off. result: its result in the current version. */
function Filter({ filter, params, result, onChange }) {
  const { properties, required = [] } = filter.parameters;
  // A filter with required parameters is requested only once they are set.
  const [isOpen, open] = useState(params !== null);
  useEffect(() => open(params !== null), [params !== null]);
  const turn = (isOn) => {
    open(isOn);
    if (!isOn && params !== null) onChange(null);
    if (isOn && required.length === 0) onChange({});
  };
  const set = (name, value) => {
    const next = { ...params, [name]: value };
    if (required.every((one) => next[one])) onChange(next);
    else if (params !== null) onChange(null);
  };
  return html`<div class="filter">
    <${Check} checked=${isOpen} onChange=${turn}>${filter.title}<//>
    ${isOpen && html`<div class="stack">
      ${Object.entries(properties).map(
        ([name, schema]) => html`<${Parameter} key=${name} name=${name} schema=${schema}
          value=${params?.[name] ?? schema.default} onChange=${(value) => set(name, value)} />`,
      )}
      ${params !== null && result?.applied === false && html`<p class="soft small">Not applied:
        ${result.reason}.</p>`}
    </div>`}
  </div>`;
}

function Parameter({ name, schema, value, onChange }) {
  const label = title(name);
  if (schema.enum) {
    const options = schema.enum.map((one) => ({ value: one, label: title(one) }));
    return html`<${Select} label=${label} options=${options} value=${value} onChange=${onChange} />`;
  }
  if (schema.type === "number") {
    return html`<${Share} label=${label} min=${schema.minimum} max=${schema.maximum} value=${value}
      onChange=${onChange} />`;
  }
  return html`<${TextField} label=${label} hint=${`${title(schema.title)}.`} value=${value}
    maxlength=${schema.maxLength} onChange=${(event) => onChange(event.currentTarget.value.trim())} />`;
}

function title(word) {
  if (word === "auto") return "Automatic";
  return `${word[0].toUpperCase()}${word.slice(1)}`.replaceAll("-", " ");
}
