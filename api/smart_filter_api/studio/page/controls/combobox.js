/** A text input with suggestions (ARIA Authoring Practices: editable combobox with a list). */

import { useId, useState } from "preact/hooks";
import { html } from "../html.js";

const SHOWN = 8;

/**
 * A value typed, or picked from the options that start with the text. options: `[{value, hint}]`.
 * onPick: called with the value on Enter, a comma or a click. inputRef: a ref of the input. Other
 * properties go to the input.
 */
export function Combobox({ label, hint, options, onPick, inputRef, ...others }) {
  const id = useId();
  const [text, setText] = useState("");
  const [reached, reach] = useState(-1);
  const found = text.trim() === "" ? [] : matching(options, text.trim().toLowerCase());
  const take = (value) => {
    setText("");
    reach(-1);
    if (value.trim() !== "") onPick(value);
  };
  const pressed = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && found.length > 0) {
      // One more stop than options: the typed text, above the first and below the last.
      reach(((reached + 1 + step + found.length + 1) % (found.length + 1)) - 1);
    } else if (event.key === "Enter" || event.key === ",") take(found[reached]?.value ?? text);
    else if (event.key === "Escape" && text !== "") take("");
    else return;
    event.preventDefault();
  };
  const typed = (event) => {
    setText(event.currentTarget.value);
    reach(-1);
  };
  return html`<div class="field combobox">
    <label for=${id}>${label}</label>
    <input class="input" id=${id} ref=${inputRef} role="combobox" type="text" autocomplete="off"
      autocapitalize="off" spellcheck="false" enterkeyhint="done" value=${text}
      aria-expanded=${String(found.length > 0)} aria-controls=${`${id}-list`}
      aria-autocomplete="list" aria-describedby=${hint && `${id}-hint`}
      aria-activedescendant=${reached < 0 ? undefined : `${id}-${reached}`}
      onInput=${typed} onKeyDown=${pressed} ...${others} />
    <ul role="listbox" id=${`${id}-list`} aria-label=${label} hidden=${found.length === 0}>
      ${found.map(
        (option, index) => html`<li role="option" id=${`${id}-${index}`} key=${option.value}
          aria-selected=${String(index === reached)} onPointerDown=${(event) => event.preventDefault()}
          onClick=${() => take(option.value)}>
          <span>${option.value}</span><span class="soft small">${option.hint}</span></li>`,
      )}
    </ul>
    <span class="unseen" role="status">${text !== "" && count(found.length)}</span>
    ${hint && html`<span class="hint" id=${`${id}-hint`}>${hint}</span>`}
  </div>`;
}

/** Return the options that start with the text, then those with a later word that does. */
function matching(options, text) {
  const begins = options.filter(({ value }) => value.startsWith(text));
  const within = options.filter(({ value }) => value.includes(` ${text}`));
  return [...begins, ...within].slice(0, SHOWN);
}

function count(number) {
  if (number === 0) return "No suggestion";
  return number === 1 ? "1 suggestion" : `${number} suggestions`;
}
