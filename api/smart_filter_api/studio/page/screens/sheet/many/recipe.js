/** One photo's recipe for others. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Dialog } from "../../../controls/dialog.js";
import { Trouble } from "../../../controls/notices.js";
import { RovingGrid } from "../../../controls/roving.js";
import { ServiceImage } from "../../../controls/service-image.js";
import { html } from "../../../html.js";
import { load, offer } from "../../../state/models.js";
import { asked } from "../../../state/recipes.js";
import { remake } from "../../../state/remaking.js";
import { counted } from "../../../words.js";
import { nameOf as nameOfBackground } from "../../background/names.js";
import { nameOf } from "../../naming.js";
import { stopSelecting } from "../selection.js";

// Fields that belong to one photo, or to the studio.
const OF_ONE = ["outputs", "priority", "persons", "roi", "seed", "run_at", "deadline_ms", "metadata", "recipe"];
// Photos offered as the source.
const MOST_SHOWN = 60;

/** Dialog that copies the recipe of one photo of a choice to the others. */
export function Recipe({ choice, onClose }) {
  const [error, setError] = useState(null);
  const { entries, count, wanted } = choice;
  const sources = entries.filter(({ photo }) => photo?.current.state === "succeeded" && !photo.isOutline).slice(0, MOST_SHOWN);
  const [id, choose] = useState(sources[0]?.id);
  useEffect(() => {
    load().catch(setError);
  }, []);
  const source = sources.find((entry) => entry.id === id);
  const others = Math.max(0, (count ?? entries.length) - 1);
  const start = () => {
    const { fields } = offer.value;
    const itself = source.photo.current.id;
    remake({
      ...wanted,
      photos: wanted.photos.filter((one) => one !== itself),
      ...(choice.isAll ? { except: [...wanted.except, itself] } : {}),
    }, {
      title: `Recipe of ${nameOf(source)}`,
      recipe: wholeRecipe(asked(source.photo.current, fields), fields),
    });
    stopSelecting();
    onClose();
  };
  return html`<${Dialog} title="Copy a recipe" onClose=${onClose} actions=${html`
      <${Button} onClick=${onClose}>Cancel<//>
      <${Button} kind="primary" icon="check" onClick=${start}
        disabled=${source === undefined || others === 0 || offer.value === null}>
        Redo ${counted(others, "photo")}<//>`}>
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
    ${others === 0 && sources.length > 0 && html`<p class="notice">Choose more photos: the others
      get the recipe.</p>`}
  <//>`;
}

/** Return all fields of a recipe, null for those that it leaves at their defaults. */
function wholeRecipe(recipe, fields) {
  const names = Object.keys({ ...fields, ...recipe });
  const whole = Object.fromEntries(names.map((name) => [name, recipe[name] ?? null]));
  for (const name of OF_ONE) delete whole[name];
  if (whole.background === "file") delete whole.background;
  return whole;
}
