/** Toolbar of the sheet: filter, search, selection and its actions. */

import { useEffect, useId, useRef } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Segmented } from "../../controls/choices.js";
import { sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { deleteAll } from "./deleting.js";
import { KINDS, kind, words } from "./entries.js";
import { Actions } from "./many/actions.js";
import {
  chosen,
  isSelecting,
  select,
  selectAll,
  selected,
  startSelecting,
  stopSelecting,
} from "./selection.js";

/** The toolbar. */
export function Toolbar() {
  if (isSelecting.value) return html`<${Selecting} />`;
  const id = useId();
  return html`<div class="toolbar">
    <${Segmented} legend="Which photos" options=${KINDS} value=${kind.value}
      onChange=${(value) => (kind.value = value)} />
    <div class="row">
      <label class="unseen" for=${id}>Search by name</label>
      <input class="input search" id=${id} type="search" placeholder="Search"
        value=${words.value} onInput=${(event) => (words.value = event.currentTarget.value)} />
      <${Button} kind="quiet" icon="check" onClick=${startSelecting}>Select<//>
      <${Button} kind="quiet" icon="clear" onClick=${deleteAll}>Delete all<//>
    </div>
  </div>`;
}

function Selecting() {
  const bar = useRef(null);
  useEffect(() => {
    // The button "Select" is gone; a card that started the selection keeps the focus.
    if (document.activeElement === document.body) bar.current.querySelector("button").focus();
  }, []);
  const { count } = chosen.value;
  const { isAll, ids } = selected.value;
  const isWhole = isAll && ids.size === 0;
  return html`<div class="toolbar selecting" ref=${bar} role="toolbar" aria-label="Chosen photos">
    <div class="row">
      <${Button} kind="quiet" icon="close" label="End the selection" onClick=${stopSelecting} />
      <p role="status"><strong>${count === null ? "All" : count.toLocaleString()}</strong> <span>chosen</span></p>
      <${Button} kind="quiet" onClick=${() => (isWhole ? select([]) : selectAll().catch(sayTrouble))}>
        ${isWhole ? "Choose none" : "Choose all"}<//>
    </div>
    <${Actions} choice=${chosen.value} />
  </div>`;
}
