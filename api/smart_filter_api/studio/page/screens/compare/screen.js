/** Two recipes for one photo side by side: both pictures in one view, and their differences. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Segmented } from "../../controls/choices.js";
import { Icon } from "../../controls/icon.js";
import { html } from "../../html.js";
import { photos, show } from "../../state/photos.js";
import { Offered } from "../photo/panels/expert/form.js";
import { Missing, useFinding } from "../photo/screen.js";
import { Zoom } from "../photo/viewer/toolbar.js";
import { View } from "../photo/viewer/view.js";
import { Column } from "./column.js";
import { Difference } from "./difference.js";
import { Figures } from "./figures.js";

const MODES = [
  { value: "image", label: "Result" },
  { value: "cutout", label: "Cutout" },
  { value: "matte", label: "Matte" },
];
const WAYS = [
  { value: "columns", label: "Side by side" },
  { value: "difference", label: "Difference" },
];

/** The screen. words: the id of a photo, and those of the two versions. */
export function Compare({ words: [id, ...versions] }) {
  const photo = photos.value.find((one) => one.id === id);
  const { error, again } = useFinding(id, photo);
  if (photo === undefined) return html`<${Missing} error=${error} again=${again} />`;
  return html`<${Offered}>${() => html`<${Two} photo=${photo} named=${versions} />`}<//>`;
}

function Two({ photo, named }) {
  const [ids, setIds] = useState(() => begin(photo, named));
  const [views] = useState(makeViews);
  const [way, setWay] = useState("columns");
  const figure = useRef(null);
  useEffect(() => {
    // A recipe tried here becomes the photo's picture only when the user chooses it.
    show(photo.current);
  }, []);
  useEffect(() => {
    history.replaceState(null, "", `#/compare/${[photo.id, ...ids].map(encodeURIComponent).join("/")}`);
  }, [photo.id, ids]);
  const [one, other] = ids.map((id) => photo.versions.find((job) => job.id === id) ?? photo.current);
  const isBeside = way === "columns";
  const columns = [
    { letter: "A", job: one, view: views.one, choose: (id) => setIds([id, ids[1]]) },
    { letter: "B", job: other, view: views.other, choose: (id) => setIds([ids[0], id]) },
  ];
  return html`<div class="compare stack">
    <header class="row">
      <a class="button quiet icon" href=${`#/photo/${encodeURIComponent(photo.id)}`} aria-label="Back to the photo"
        title="Back to the photo"><${Icon} name="arrowLeft" /></a>
      <h1>Two recipes, one photo</h1>
    </header>
    ${one === other && html`<p class="soft">Both show the same version. Change one recipe and try it.</p>`}
    <div class="compare-tools row wrap spread">
      <div class="row wrap">
        <${Segmented} legend="How to compare" options=${WAYS} value=${way} onChange=${setWay} />
        <${Segmented} legend="View" options=${MODES} value=${views.one.mode.value}
          onChange=${(mode) => {
            views.one.mode.value = mode;
          }} />
      </div>
      <${Zoom} view=${isBeside ? views.one : views.both} figure=${figure} />
    </div>
    <div class="stack" ref=${figure}>
      ${!isBeside && html`<${Difference} one=${one} other=${other} view=${views.both} />`}
      <div class="columns">
        ${columns.map((column) => html`<${Column} key=${column.letter} ...${column} photo=${photo}
          hasPicture=${isBeside} />`)}
      </div>
    </div>
    <${Figures} one=${one} other=${other} />
  </div>`;
}

/** Return the initial versions: those of the address, else the current one and its parent. */
function begin({ versions, current }, named) {
  const known = named.filter((id) => versions.some((job) => job.id === id));
  if (known.length === 2) return known;
  const parent = versions.find((job) => job.id === current.parent_id && job.state === "succeeded");
  return [(parent ?? current).id, current.id];
}

/** Return views with a common position: one per picture, and one for their difference. */
function makeViews() {
  const one = new View();
  one.mode.value = "image";
  return { one, other: new View(one), both: new View(one) };
}
