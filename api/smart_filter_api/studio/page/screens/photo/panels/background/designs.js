/** All designs and pictures, with a search. */

import { useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Select, TextField } from "../../../../controls/fields.js";
import { Icon } from "../../../../controls/icon.js";
import { Trouble } from "../../../../controls/notices.js";
import { RovingGrid } from "../../../../controls/roving.js";
import { html } from "../../../../html.js";
import { library, useHeld } from "../../../../state/backgrounds.js";
import { change } from "../../../../state/changes.js";
import { split } from "./names.js";
import { Palette, Thumbnail } from "./thumbnail.js";

const SOURCES = { tenant: "Your pictures", site: "Pictures of this service" };

/** A grid of the designs, with filters, and the choice of a surface texture. */
export function Designs({ photo, recipe }) {
  const { items, error, again } = useHeld(library);
  const [group, setGroup] = useState("");
  const [words, setWords] = useState("");
  if (error !== null) {
    return html`<${Trouble} error=${error}><${Button} kind="small" icon="refresh"
      onClick=${again}>Try again<//><//>`;
  }
  if (items === null) return html`<${Waiting} />`;
  const [kind, said] = split(recipe.background);
  const [chosen, surface = ""] = kind === "preset" ? said.split("+") : [shownOf(photo)];
  const found = items.filter((design) => isIn(design, group) && answers(design, words));
  const take = (name, on) =>
    change(photo, { background: `preset:${name}${on && on !== name ? `+${on}` : ""}` });
  return html`<div class="stack">
    <div class="narrowing">
      <${TextField} label="Find" type="search" value=${words} placeholder="beach, pink, calm …"
        onInput=${(event) => setWords(event.currentTarget.value)} />
      <${Select} label="Show" options=${groupsOf(items)} value=${group} onChange=${setGroup} />
    </div>
    <p class="soft small" role="status">${found.length === 0
      ? "No matches. Try another word, or show all."
      : `${found.length} ${found.length === 1 ? "background" : "backgrounds"}`}</p>
    <${RovingGrid} label="Designs" class="designs" current=${chosen}
      items=${found.map((design) => ({ id: design.name, label: design.title, design }))}
      onPick=${(name) => take(name, surface)}>
      ${({ design, isCurrent }) => html`
        <${Thumbnail} design=${design} /><${Palette} design=${design} />
        <span class="title">${design.title}</span>
        ${isCurrent && html`<span class="in-use"><${Icon} name="check" /></span>`}`}
    <//>
    <${Select} label="Printed on" value=${surface} hint="A texture under the design."
      options=${[{ value: "", label: "No texture" }, ...surfacesOf(items)]}
      onChange=${(on) => (chosen ? take(chosen, on) : undefined)} />
  </div>`;
}

function Waiting() {
  return html`<div class="designs" aria-label="Loading designs">
    ${Array.from({ length: 9 }, (_, index) => html`<span key=${index} class="thumbnail" />`)}
  </div>`;
}

/** Return the design chosen for the photo, if any. */
function shownOf(photo) {
  return photo.current.background?.name?.split("+")[0];
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

function surfacesOf(items) {
  return items
    .filter((design) => design.surface)
    .map((design) => ({ value: design.name, label: design.title }));
}
