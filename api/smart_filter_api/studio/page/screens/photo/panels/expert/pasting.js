/** A recipe that comes from elsewhere: as it was copied, or out of a job. */

import { useId, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Dialog } from "../../../../controls/dialog.js";
import { say } from "../../../../controls/notices.js";
import { html } from "../../../../html.js";
import { offer, schemaOf } from "../../../../state/models.js";
import { flat, withoutDefaults } from "../../../../state/recipes.js";

/** A dialog that reads a recipe; onRead: is given it. before: the recipe whose place it takes. */
export function Pasting({ before, onRead, onClose }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState("");
  const id = useId();
  const read = () => {
    try {
      const { recipe, unknown } = recipeIn(text);
      // How a picture is made says nothing of what else somebody wants to have.
      onRead(before.outputs === undefined ? recipe : { outputs: before.outputs, ...recipe });
      onClose();
      say(unknown.length === 0 ? "The recipe is filled in. Apply makes the picture."
        : `The recipe is filled in without ${unknown.join(", ")}: this service does not know that.`);
    } catch (error) {
      if (!(error instanceof NoRecipe)) throw error;
      setWrong(error.message);
    }
  };
  return html`<${Dialog} title="Paste a recipe" onClose=${onClose} actions=${html`
    <${Button} kind="primary" icon="check" onClick=${read}>Fill it in<//>`}>
    <div class="field">
      <label for=${id}>Recipe as JSON</label>
      <textarea class="textarea code" id=${id} rows="10" spellcheck="false" aria-describedby=${`${id}-said`}
        aria-invalid=${wrong ? "true" : undefined} value=${text}
        onInput=${(event) => { setText(event.currentTarget.value); setWrong(""); }} />
      <span class=${wrong ? "wrong" : "hint"} id=${`${id}-said`} role=${wrong ? "alert" : undefined}>
        ${wrong || "As “Copy as code” gives it, or a whole job of the API. It takes the place of what is set; without outputs, these stay."}</span>
    </div>
  <//>`;
}

class NoRecipe extends Error {}

function recipeIn(text) {
  let told;
  try {
    told = JSON.parse(text);
  } catch (error) {
    throw new NoRecipe(`This is not JSON: ${error.message}`);
  }
  const given = told?.recipe ?? told;
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

/** Return a value as the form holds it: JSON may write `"true"`, `true`, `"a,b"` and `["a", "b"]`. */
function shaped(value, { type }) {
  if (type === "array") return [value].flat().flatMap((one) => String(one).split(",").map((word) => word.trim()));
  if (type === "string") return String(value);
  if (type === "boolean") return { true: true, false: false }[value] ?? value;
  const number = Number(value);
  return Number.isFinite(number) ? number : value;
}
