/** A background found by keywords, with suggestions. */

import { useRef } from "preact/hooks";
import { Combobox } from "../../../../controls/combobox.js";
import { Icon } from "../../../../controls/icon.js";
import { html } from "../../../../html.js";
import { useHeld, vocabulary } from "../../../../state/backgrounds.js";
import { change } from "../../../../state/changes.js";
import { split } from "../../../background/names.js";

// The service's limits on keywords.
const MOST = 12;
const LONGEST = 40;

/** Keywords as chips, and a field to add one. */
export function Words({ photo, recipe }) {
  const { items } = useHeld(vocabulary);
  const field = useRef(null);
  const [kind, said] = split(recipe.background);
  const words = kind === "keywords" ? said.split(",").map((word) => word.trim()) : [];
  const ask = (next) => change(photo, { background: `keywords:${next.join(",")}` });
  const add = (text) => {
    const added = text.split(",").map((word) => word.trim().toLowerCase());
    const next = [...new Set([...words, ...added])].filter((word) => word !== "").slice(0, MOST);
    if (next.length > words.length) ask(next);
  };
  const drop = (word) => {
    const next = words.filter((one) => one !== word);
    if (next.length > 0) ask(next);
    else change(photo, { background: "auto" });
    field.current?.focus();
  };
  const offered = (items ?? [])
    .filter((one) => !words.includes(one.word))
    .map((one) => ({ value: one.word, hint: hintOf(one) }));
  return html`<div class="stack">
    ${words.length > 0 && html`<ul class="row wrap" aria-label="Words">
      ${words.map(
        (word) => html`<li key=${word}><button type="button" class="chip"
          aria-label=${`Remove ${word}`} onClick=${() => drop(word)}>
          ${word}<${Icon} name="close" /></button></li>`,
      )}
    </ul>`}
    <${Combobox} label=${words.length > 0 ? "Another word" : "What should it be like?"}
      inputRef=${field} options=${offered} maxlength=${LONGEST} onPick=${add}
      placeholder="sunset, soft, pink …" disabled=${words.length >= MOST}
      hint="Things, colors, moods. Enter or a comma adds a word; the background that matches most words is used." />
  </div>`;
}

function hintOf({ kind, count }) {
  if (count === null || kind === "mood") return kind;
  return count === 1 ? "1 background" : `${count} backgrounds`;
}
