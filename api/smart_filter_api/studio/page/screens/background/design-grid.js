/** A grid of all designs and pictures, with a search. */

import { useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Select, TextField } from "../../controls/fields.js";
import { Icon } from "../../controls/icon.js";
import { Trouble } from "../../controls/notices.js";
import { RovingGrid } from "../../controls/roving.js";
import { html } from "../../html.js";
import { library, useHeld } from "../../state/backgrounds.js";
import { OwnPictures } from "./own-pictures.js";
import { Palette, Thumbnail } from "./thumbnail.js";

const SOURCES = { tenant: "Your pictures", site: "Pictures of this service" };

/** current: the name of the chosen design, if any. onPick: called with a name. */
export function DesignGrid({ current, onPick }) {
  const { items, error, again } = useHeld(library);
  const [group, setGroup] = useState("");
  const [words, setWords] = useState("");
  if (error !== null) {
    return html`<${Trouble} error=${error}><${Button} kind="small" icon="refresh"
      onClick=${again}>Try again<//><//>`;
  }
  if (items === null) return html`<${Waiting} />`;
  const found = items.filter((design) => isIn(design, group) && answers(design, words));
  return html`<div class="stack">
    <div class="narrowing">
      <${TextField} label="Find" type="search" value=${words} placeholder="beach, pink, calm …"
        onInput=${(event) => setWords(event.currentTarget.value)} />
      <${Select} label="Show" options=${groupsOf(items)} value=${group} onChange=${setGroup} />
    </div>
    <p class="soft small" role="status">${found.length === 0
      ? "No matches. Try another word, or show all."
      : `${found.length} ${found.length === 1 ? "background" : "backgrounds"}`}</p>
    <${RovingGrid} label="Designs" class="designs" current=${current}
      items=${found.map((design) => ({ id: design.name, label: design.title, design }))}
      onPick=${onPick}>
      ${({ design, isCurrent }) => html`
        <${Thumbnail} design=${design} /><${Palette} design=${design} />
        <span class="title">${design.title}</span>
        ${isCurrent && html`<span class="in-use"><${Icon} name="check" /></span>`}`}
    <//>
    <${OwnPictures} use="background" onAdded=${({ name }) => onPick(name)} />
  </div>`;
}

function Waiting() {
  return html`<div class="designs" aria-label="Loading designs">
    ${Array.from({ length: 9 }, (_, index) => html`<span key=${index} class="thumbnail" />`)}
  </div>`;
}

function isIn(design, group) {
  const [by, value] = group.split(":");
  if (by === "source") return design.source === value;
  if (by === "mood") return design.moods.includes(value);
  return by === "" || design.family === value;
}

/** Return whether each word is a prefix of one of a design's words. */
function answers(design, words) {
  const said = [design.title, design.family, ...design.tags, ...design.moods]
    .join(" ")
    .toLowerCase()
    .split(/[\s-]+/);
  return words
    .toLowerCase()
    .split(/[\s,]+/)
    .every((word) => said.some((one) => one.startsWith(word)));
}

function groupsOf(items) {
  const values = (of) => [...new Set(items.flatMap(of))].sort();
  const option = (by, value, label = value) => ({
    value: `${by}:${value}`,
    label: `${label[0].toUpperCase()}${label.slice(1)}`,
  });
  const own = Object.keys(SOURCES).filter((source) => items.some((one) => one.source === source));
  return [
    { value: "", label: "All" },
    ...own.map((source) => option("source", source, SOURCES[source])),
    ...values((one) => one.moods).map((mood) => option("mood", mood, `mood: ${mood}`)),
    ...values((one) => one.family).map((family) => option("family", family)),
  ];
}
