/** One photo's recipe for others. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Dialog } from "../../../controls/dialog.js";
import { Trouble } from "../../../controls/notices.js";
import { RovingGrid } from "../../../controls/roving.js";
import { ServiceImage } from "../../../controls/service-image.js";
import { html } from "../../../html.js";
import { load, offer } from "../../../state/models.js";
import { asked, difference } from "../../../state/recipes.js";
import { remake } from "../../../state/remaking.js";
import { counted } from "../../../words.js";
import { nameOf as nameOfBackground } from "../../background/names.js";
import { nameOf } from "../../naming.js";

// Fields that belong to one photo, or to the studio.
const OF_ONE = ["outputs", "priority", "persons", "roi", "seed"];

/** Dialog that copies the recipe of one of the entries to the others. */
export function Recipe({ entries, onClose }) {
  const [error, setError] = useState(null);
  const sources = entries.filter(({ photo }) => photo?.current.state === "succeeded");
  const [id, choose] = useState(sources[0]?.id);
  useEffect(() => {
    load().catch(setError);
  }, []);
  const source = sources.find((entry) => entry.id === id);
  const others = entries.filter((entry) => entry.id !== id);
  const start = () => {
    const { fields } = offer.value;
    const recipe = asked(source.photo.current, fields);
    remake(others, {
      title: `Recipe of ${nameOf(source)}`,
      recipeOf: (job) => changesFrom(asked(job, fields), recipe),
    });
    onClose();
  };
  return html`<${Dialog} title="Copy a recipe" onClose=${onClose} actions=${html`
      <${Button} onClick=${onClose}>Cancel<//>
      <${Button} kind="primary" icon="check" onClick=${start}
        disabled=${source === undefined || others.length === 0 || offer.value === null}>
        Redo ${counted(others.length, "photo")}<//>`}>
    ${error && html`<${Trouble} error=${error} />`}
    ${sources.length === 0
      ? html`<p>None of these photos is finished yet.</p>`
      : html`<p>The recipe of this photo is used for the others: background, look, framing, size,
          format and models.</p>
        <${RovingGrid} label="Photo whose recipe is copied" class="designs" current=${id} onPick=${choose}
          items=${sources.map((entry) => ({ id: entry.id, label: nameOf(entry), photo: entry.photo }))}>
          ${({ photo, label }) => html`<span class="thumbnail"><${ServiceImage} alt="" loading="lazy"
            src=${photo.current.outputs.thumbnail ?? photo.current.links.photo} instead=${null} /></span>
            <span class="title">${label}</span>`}
        <//>`}
    ${source && html`<p class="small"><strong>${nameOfBackground(source.photo.current)}</strong></p>`}
    ${source?.photo.current.recipe.background === "file" && html`<p class="notice fair">A background of your
      own is not copied: give it to all of them with “Background”.</p>`}
    ${others.length === 0 && sources.length > 0 && html`<p class="notice">Choose more photos: the others
      get the recipe.</p>`}
  <//>`;
}

/** Return the changes from one recipe to another, or null if there are none. */
function changesFrom(own, wanted) {
  const changes = difference(own, wanted);
  for (const name of OF_ONE) delete changes[name];
  if (changes.background === "file") delete changes.background;
  return Object.keys(changes).length === 0 ? null : changes;
}
