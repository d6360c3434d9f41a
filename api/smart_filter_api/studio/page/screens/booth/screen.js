/**
 * Photo booth, `#/booth?recipe=NAME&seconds=30`: photos get that saved recipe; nothing to choose.
 */

import { useEffect, useRef } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Trouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { query } from "../../router.js";
import { useHeld } from "../../state/backgrounds.js";
import { savedRecipes } from "../../state/saved-recipes.js";
import { Stand } from "./stand.js";

/** How long a picture stays unless someone touches the screen; the address can say otherwise. */
const USUAL_SECONDS = 30;
const LEAST_SECONDS = 5;
const MOST_SECONDS = 600;
const UNNAMED = {
  title: "Which recipe do photos get here?",
  detail: "The address of a photo booth ends with the name of a saved recipe: #/booth?recipe=NAME.",
};

/** The screen. */
export function Booth() {
  return html`<h1 class="unseen">Photo booth</h1><${Content} />`;
}

/** The stand, or what is wrong with the address. */
function Content() {
  const name = query.value.get("recipe");
  const { items, error, again } = useHeld(savedRecipes);
  const recipe = items?.find((one) => one.name === name);
  const readFor = useRef(null);
  useEffect(() => {
    // The page may have read the list before this recipe was saved.
    if (items === null || recipe !== undefined || readFor.current === name) return;
    readFor.current = name;
    savedRecipes.items.value = null;
    savedRecipes.load();
  }, [name, items]);
  if (error) {
    return html`<div class="booth-setup"><${Trouble} error=${error}>
      <${Button} kind="small" icon="refresh" onClick=${again}>Try again<//><//></div>`;
  }
  if (items === null) return html`<p class="booth-setup" role="status">Opening the photo booth</p>`;
  if (recipe === undefined) return html`<${Setup} name=${name} items=${items} />`;
  return html`<${Stand} key=${name} recipe=${recipe} seconds=${secondsOf(query.value)} />`;
}

/** Return how long a picture stays, in seconds. */
function secondsOf(asked) {
  const seconds = Number(asked.get("seconds") ?? USUAL_SECONDS);
  return seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS ? Math.round(seconds) : USUAL_SECONDS;
}

/** For the person who sets it up: the recipes that an address can name. */
function Setup({ name, items }) {
  const own = items.filter((one) => !one.built_in);
  const unknown = {
    title: `There is no recipe ${name}`,
    detail: "It was deleted, or the address has a typing error.",
  };
  return html`<div class="booth-setup stack">
    <${Trouble} error=${name ? unknown : UNNAMED} />
    ${own.length > 0
      ? html`<ul class="stack tight">${own.map((one) => html`<li key=${one.name}>
          <a class="button" href=${`#/booth?recipe=${one.name}`}>${one.title ?? one.name}</a></li>`)}</ul>`
      : html`<p>No recipe is saved yet. Save one in the studio, under “Shape and format”.</p>`}
    <a href="#/">Back to the studio</a>
  </div>`;
}
