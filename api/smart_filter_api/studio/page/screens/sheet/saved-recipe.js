/** Saved recipes for new photos: choose one, save the present choice as one, delete one. */

import { useEffect, useId, useState } from "preact/hooks";
import { useAttempt } from "../../controls/attempt.js";
import { Button } from "../../controls/button.js";
import { TextField } from "../../controls/fields.js";
import { Icon } from "../../controls/icon.js";
import { Trouble, say } from "../../controls/notices.js";
import { html } from "../../html.js";
import { useHeld } from "../../state/backgrounds.js";
import { deleteRecipe, nameFrom, savedRecipes, saveRecipe } from "../../state/saved-recipes.js";
import { recipeWanted, want, wanted } from "../../state/wanted.js";

/** Select of the saved recipes. label: text before it, if any. */
export function RecipeChoice({ label }) {
  const id = useId();
  const { items } = useHeld(savedRecipes);
  const { recipe } = wanted.value;
  useEffect(() => {
    if (items === null || recipe === null) return;
    const current = items.find(({ name }) => name === recipe.name);
    // It was deleted or changed, perhaps by someone else.
    if (JSON.stringify(current?.recipe) !== JSON.stringify(recipe.fields)) want({ recipe: chosen(current) });
  }, [items]);
  const choose = (name) => want({ recipe: chosen(items?.find((one) => one.name === name)) });
  const known = items ?? (recipe === null ? [] : [{ name: recipe.name }]);
  return html`${label && html`<label for=${id}>${label}</label>`}
    <select class="select" id=${id} aria-label=${label ? undefined : "Saved recipe"}
      onChange=${(event) => choose(event.currentTarget.value)}>
      <option value="">No saved recipe</option>
      ${known.map(({ name, title }) => html`<option key=${name} value=${name}
        selected=${name === recipe?.name}>${title ?? name}</option>`)}
    </select>`;
}

/** Form that saves the present choice as a recipe, and deletes the chosen one. */
export function RecipeForm() {
  const { recipe, kind } = wanted.value;
  const [words, setWords] = useState("");
  const { attempt, error } = useAttempt();
  const name = nameFrom(words);
  const { items } = useHeld(savedRecipes);
  const own = (items ?? []).filter((one) => !one.built_in);
  const isOwn = own.some((one) => one.name === recipe?.name);
  const save = () => attempt(async () => {
    want({ recipe: chosen(await saveRecipe(name, recipeWanted())) });
    setWords("");
    say(`Saved as ${name}. Programs name it with recipe=${name}.`);
  });
  const remove = () => attempt(async () => {
    await deleteRecipe(recipe.name);
    want({ recipe: null });
    say(`Deleted the recipe ${recipe.name}.`);
  });
  const submit = (event) => {
    event.preventDefault();
    if (name !== "") save();
  };
  return html`<form class="stack tight" onSubmit=${submit}>
    <${TextField} label="Save this choice as a recipe" value=${words} maxlength="80"
      placeholder="our-brand" autocomplete="off"
      hint=${words !== "" && name !== words ? (name === "" ? "Use letters a to z, and digits." : `Its name: ${name}`) : undefined}
      onInput=${(event) => setWords(event.currentTarget.value)} />
    ${kind === "file" && !("background" in (recipe?.fields ?? {})) && html`<p class="small soft">Your own
      picture is not saved with it.</p>`}
    ${error && html`<${Trouble} error=${error} />`}
    <div class="row wrap">
      <${Button} kind="small" icon="check" type="submit" disabled=${name === ""}>
        ${own.some((one) => one.name === name) ? `Replace ${name}` : "Save recipe"}<//>
      ${isOwn && html`<${Button} kind="small quiet" icon="clear" onClick=${remove}>
        Delete ${recipe.name}<//>`}
      ${isOwn && html`<a class="button small quiet" href=${`#/booth?recipe=${recipe.name}`}>
        <${Icon} name="camera" />Photo booth</a>`}
    </div>
  </form>`;
}

function chosen(saved) {
  return saved === undefined ? null : { name: saved.name, fields: saved.recipe };
}
