/** Pasting a recipe: one from "Copy as code", or from a job. */

import { useId, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Dialog } from "../../../../controls/dialog.js";
import { say } from "../../../../controls/notices.js";
import { html } from "../../../../html.js";
import { offer, schemaOf } from "../../../../state/models.js";
import { flat, withoutDefaults } from "../../../../state/recipes.js";

/** A dialog that parses a recipe. onRead: called with it. before: the recipe that it replaces. */
export function Pasting({ before, onRead, onClose }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState("");
  const id = useId();
  const read = () => {
    try {
      const { recipe, unknown } = recipeIn(text);
      // A pasted recipe without outputs keeps the current ones.
      onRead(before.outputs === undefined ? recipe : { outputs: before.outputs, ...recipe });
      onClose();
      say(unknown.length === 0 ? "The recipe is loaded. Use Apply to make the picture."
        : `The recipe is loaded without ${unknown.join(", ")}, which this service does not know.`);
    } catch (error) {
      if (!(error instanceof NoRecipe)) throw error;
      setWrong(error.message);
    }
  };
  return html`<${Dialog} title="Paste a recipe" onClose=${onClose} actions=${html`
    <${Button} kind="primary" icon="check" onClick=${read}>Load<//>`}>
    <div class="field">
      <label for=${id}>Recipe as JSON</label>
      <textarea class="textarea code" id=${id} rows="10" spellcheck="false" aria-describedby=${`${id}-said`}
        aria-invalid=${wrong ? "true" : undefined} value=${text}
        onInput=${(event) => { setText(event.currentTarget.value); setWrong(""); }} />
      <span class=${wrong ? "wrong" : "hint"} id=${`${id}-said`} role=${wrong ? "alert" : undefined}>
        ${wrong || "A recipe from “Copy as code”, or a whole job of the API. It replaces all settings; without outputs, the current outputs stay."}</span>
    </div>
  <//>`;
}

class NoRecipe extends Error {}

function recipeIn(text) {
  let parsed;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new NoRecipe(`This is not JSON: ${error.message}`);
  }
  const given = parsed?.recipe ?? parsed;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new NoRecipe("A recipe is an object, such as {\"background\": \"color:navy\"}.");
  }
  const { metadata, ...asked } = given;
  const whole = flat(asked);
  const recipe = {};
  const unknown = [];
  for (const [name, value] of Object.entries(whole)) {
    const schema = schemaOf(name, whole);
    if (schema === undefined) unknown.push(name);
    else recipe[name] = shaped(value, schema);
  }
  return { recipe: withoutDefaults(recipe, offer.value.fields), unknown };
}

/** Return a value in the form's type: JSON may have `"true"`, `true`, `"a,b"` and `["a", "b"]`. */
function shaped(value, { type }) {
  if (type === "array") return [value].flat().flatMap((one) => String(one).split(",").map((word) => word.trim()));
  if (type === "string") return String(value);
  if (type === "boolean") return { true: true, false: false }[value] ?? value;
  const number = Number(value);
  return Number.isFinite(number) ? number : value;
}
