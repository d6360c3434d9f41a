/** One field of a recipe, rendered from its JSON Schema. */

import { useId, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Coded } from "../../../../controls/coded.js";
import { Check } from "../../../../controls/fields.js";
import { html } from "../../../../html.js";

const SLIDER_STEPS = 200;
/** Lowest position on the slider of a default that is small relative to the maximum. */
const DEFAULT_AT = 1 / 3;
/** Text with a larger maximum length, and without a pattern, gets several lines. */
const ONE_LINE = 99;

/**
 * A field with its name, hint, and a button to reset it.
 *
 * name: in the recipe. label: the shown name. schema: JSON Schema. value: undefined for the default.
 * onChange: called with a value; with undefined for the default; with text for an invalid value,
 * so that the service returns the error. wrong: that error's message.
 */
export function Field(props) {
  const { schema } = props;
  if (schema.type === "boolean") return html`<${Flag} ...${props} />`;
  if (schema.type === "array") return html`<${Several} ...${props} />`;
  if (schema.enum) return html`<${Choice} ...${props} />`;
  const isNumber = schema.type === "number" || schema.type === "integer";
  if (isNumber && isSlidable(schema)) return html`<${Slidable} ...${props} />`;
  return html`<${Line} ...${props} />`;
}

function Frame({ id, name, label, schema, value, wrong, onChange, children }) {
  const usual = shown(schema.default);
  return html`<div class="field setting" data-name=${name}>
    <div class="row spread"><label for=${id}><code>${label}</code></label>
      ${value !== undefined && html`<${ToDefault} label=${label} usual=${usual} onChange=${onChange} />`}
    </div>
    ${children}
    <${Hints} id=${id} schema=${schema} wrong=${wrong} />
  </div>`;
}

function ToDefault({ label, usual, onChange }) {
  const words = usual === "" ? `${label}: nothing set` : `${label}: back to the default, ${usual}`;
  return html`<${Button} kind="quiet small" icon="undo" aria-label=${words} title=${words}
    onClick=${() => onChange(undefined)}>Default<//>`;
}

function Hints({ id, schema, wrong }) {
  const hint = [schema.title ?? schema.description, bounds(schema)].filter(Boolean).join("; ");
  if (!hint && !wrong) return null;
  return html`
    ${hint && html`<span class="hint" id=${`${id}-hint`}><${Coded} text=${hint} /></span>`}
    ${wrong && html`<span class="wrong" id=${`${id}-wrong`}>${wrong}</span>`}`;
}

function described(id, wrong) {
  return wrong
    ? { "aria-describedby": `${id}-hint ${id}-wrong`, "aria-invalid": "true" }
    : { "aria-describedby": `${id}-hint` };
}

function Line(props) {
  const { schema, value, wrong, onChange, placeholder } = props;
  const id = useId();
  const typing = useTyping(value, (text) => onChange(parsed(text, schema)));
  const common = { id, placeholder: placeholder ?? shown(schema.default), ...described(id, wrong), ...typing };
  const isLong = schema.type === "string" && !schema.pattern && schema.maxLength > ONE_LINE;
  return html`<${Frame} ...${props} id=${id}>
    ${isLong
      ? html`<textarea class="textarea" rows="2" ...${common} />`
      : html`<input class="input" spellcheck="false" autocapitalize="off" autocomplete="off"
          inputmode=${schema.type === "string" ? undefined : "decimal"}
          list=${schema.examples && `${id}-names`} ...${common} />`}
    ${schema.examples && html`<datalist id=${`${id}-names`}>
      ${schema.examples.map((example) => html`<option key=${example} value=${example} />`)}
    </datalist>`}
  <//>`;
}

function Slidable(props) {
  const { label, schema, value, wrong, onChange } = props;
  const id = useId();
  const typing = useTyping(value, (text) => onChange(parsed(text, schema)));
  const scale = scaleOf(schema);
  const now = typeof value === "number" ? value : schema.default;
  return html`<${Frame} ...${props} id=${id}>
    <div class="row slidable">
      <input class="range" type="range" min="0" max=${SLIDER_STEPS} step="1" aria-label=${`${label}, slider`}
        value=${scale.at(now)} aria-valuetext=${shown(now)}
        onInput=${(event) => onChange(unlessUsual(scale.value(Number(event.currentTarget.value)), schema))} />
      <input class="input figures" id=${id} inputmode="decimal" autocomplete="off"
        placeholder=${shown(schema.default)} ...${described(id, wrong)} ...${typing} />
    </div>
  <//>`;
}

function Choice(props) {
  const { schema, value, wrong, onChange } = props;
  const id = useId();
  const choose = (event) => {
    const chosen = schema.enum.find((one) => String(one) === event.currentTarget.value);
    onChange(unlessUsual(chosen, schema));
  };
  const now = value ?? schema.default;
  return html`<${Frame} ...${props} id=${id}>
    <select class="select" id=${id} ...${described(id, wrong)} onChange=${choose}>
      ${schema.enum.map((one) => html`<option key=${one} value=${one} selected=${one === now}>${one}</option>`)}
    </select>
  <//>`;
}

function Flag({ name, label, schema, value, wrong, onChange }) {
  const id = useId();
  return html`<div class="field setting" data-name=${name}>
    <${Check} checked=${value ?? schema.default} onChange=${(is) => onChange(unlessUsual(is, schema))}>
      <code>${label}</code>
    <//>
    <${Hints} id=${id} schema=${schema} wrong=${wrong} />
  </div>`;
}

function Several({ name, label, schema, value, wrong, onChange }) {
  const id = useId();
  const now = value ?? schema.default;
  const turn = (one, is) => {
    const chosen = schema.items.enum.filter((other) => (other === one ? is : now.includes(other)));
    onChange(unlessUsual(chosen, schema));
  };
  return html`<fieldset class="field setting" data-name=${name} aria-describedby=${wrong && `${id}-wrong`}>
    <legend class="label"><code>${label}</code></legend>
    <div class="several">
      ${schema.items.enum.map((one) => html`<${Check} key=${one} checked=${now.includes(one)}
        onChange=${(is) => turn(one, is)}>${one}<//>`)}
    </div>
    ${wrong && html`<span class="wrong" id=${`${id}-wrong`}>${wrong}</span>`}
  </fieldset>`;
}

/** Keep the typed text until the field is left: "0." is on its way to 0.5. */
function useTyping(value, onText) {
  const [text, setText] = useState(null);
  return {
    value: text ?? shown(value),
    onInput: (event) => {
      setText(event.currentTarget.value);
      onText(event.currentTarget.value);
    },
    onBlur: () => setText(null),
  };
}

function parsed(text, schema) {
  if (text.trim() === "") return undefined;
  if (schema.type === "string") return unlessUsual(text, schema);
  const number = Number(text);
  return unlessUsual(Number.isFinite(number) ? number : text, schema);
}

function unlessUsual(value, schema) {
  return JSON.stringify(value) === JSON.stringify(schema.default) ? undefined : value;
}

function shown(value) {
  return value === undefined || value === null ? "" : String(value);
}

function bounds({ type, minimum, maximum, "x-unit": unit }) {
  if (type !== "number" && type !== "integer") return "";
  if (minimum === undefined || maximum === undefined) return "";
  return [minimum, "to", maximum, unit].filter((word) => word !== undefined).join(" ");
}

function isSlidable({ default: usual, minimum, maximum }) {
  return usual !== undefined && minimum !== undefined && maximum !== undefined;
}

/** Return the mapping between slider and values; finer at the low end where defaults are small. */
function scaleOf({ type, default: usual, minimum, maximum }) {
  const room = maximum - minimum;
  const share = (usual - minimum) / room;
  const power = share > 0 && share < DEFAULT_AT / 3 ? Math.log(share) / Math.log(DEFAULT_AT) : 1;
  return {
    at: (value) => {
      const part = Math.min(Math.max((value - minimum) / room, 0), 1);
      return Math.round(SLIDER_STEPS * part ** (1 / power));
    },
    value: (place) => {
      const value = minimum + room * (place / SLIDER_STEPS) ** power;
      return type === "integer" ? Math.round(value) : Number(value.toPrecision(3));
    },
  };
}
