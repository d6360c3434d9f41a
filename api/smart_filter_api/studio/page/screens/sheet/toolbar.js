/** Toolbar of the sheet: filter, selection, delete. */

import { useEffect, useId, useRef } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Segmented } from "../../controls/choices.js";
import { html } from "../../html.js";
import { counted } from "../../words.js";
import { deleteAll, deleteThese } from "./deleting.js";
import { KINDS, kind, words } from "./entries.js";
import { isSelecting, select, selected, startSelecting, stopSelecting } from "./selection.js";

/** shown: the entries that the sheet shows. */
export function Toolbar({ shown }) {
  if (isSelecting.value) return html`<${Selecting} shown=${shown} />`;
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

function Selecting({ shown }) {
  const bar = useRef(null);
  useEffect(() => {
    bar.current.querySelector("button").focus();
    const leave = (event) => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) stopSelecting();
    };
    addEventListener("keydown", leave);
    return () => removeEventListener("keydown", leave);
  }, []);
  const chosen = shown.filter((entry) => selected.value.has(entry.id));
  const isAll = chosen.length === shown.length;
  return html`<div class="toolbar selecting" ref=${bar} role="toolbar" aria-label="Chosen photos">
    <p role="status"><strong>${counted(chosen.length, "photo")}</strong> chosen</p>
    <div class="row">
      <${Button} kind="quiet" onClick=${() => select(isAll ? [] : shown.map(({ id }) => id))}>
        ${isAll ? "Choose none" : "Choose all"}<//>
      <${Button} kind="danger" icon="clear" disabled=${chosen.length === 0}
        onClick=${() => deleteThese(chosen)}>Delete<//>
      <${Button} kind="primary" onClick=${stopSelecting}>Done<//>
    </div>
  </div>`;
}
