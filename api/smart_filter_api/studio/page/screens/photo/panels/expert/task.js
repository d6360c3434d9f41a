/** The models of one task: the choice, its card, and its parameters. */

import { useId } from "preact/hooks";
import { Icon } from "../../../../controls/icon.js";
import { html } from "../../../../html.js";
import { cardOf } from "../../../../state/models.js";
import { Card } from "./card.js";
import { Field } from "./field.js";
import { Group } from "./group.js";

/** Titles of tasks; a new task shows its own name. */
export const TITLES = {
  orientation: "Orientation",
  prepare: "Preparing",
  segmentation: "Cutting out",
  face: "Faces",
  smile: "Smiles",
  eyes: "Eyes",
  composite: "Composing",
};
/** Name of the parameter that makes a model ignore its other parameters. */
const SWITCH = "use_default";

/** The choice of the task's models. form: see `useForm`. */
export function Task({ task, form }) {
  const { recipe, set, wrong } = form;
  const name = `${task.name}.model`;
  const card = cardOf(task, recipe);
  const here = task.models.filter((one) => one.offered);
  const elsewhere = task.models.filter((one) => !one.offered);
  const group = useId();
  const isWrong = Object.keys(wrong).some((one) => one.startsWith(`${task.name}.`));
  const chosen = recipe[name];
  const isSet = Object.keys(recipe).some((one) => one.startsWith(`${task.name}.`));
  return html`<${Group} title=${TITLES[task.name] ?? task.name} isWrong=${isWrong}
    badge=${html`<span class=${`tag ${isSet ? "accent" : ""}`}>${chosen ?? card?.name ?? "auto"}</span>`}>
    <fieldset class="models" data-name=${name}>
      <legend class="unseen">Model</legend>
      <${Choice} group=${group} name="auto" title=${`The service chooses${card?.default ? `: ${card.name}` : ""}`}
        isChosen=${chosen === undefined} onChoose=${() => set(name, undefined)} />
      ${here.map((one) => html`<${Choice} key=${one.name} group=${group} name=${one.name}
        title=${one.title} card=${one} isChosen=${chosen === one.name}
        onChoose=${() => set(name, one.name)} />`)}
      ${wrong[name] && html`<span class="wrong" role="alert">${wrong[name]}</span>`}
    </fieldset>
    ${card?.fault && html`<p class="notice fair"><${Icon} name="alert" />${card.fault}</p>`}
    ${card && html`<${Parameters} key=${card.name} card=${card} form=${form} />`}
    ${card && html`<details class="more"><summary>About ${card.name}</summary><${Card} card=${card} /></details>`}
    ${elsewhere.length > 0 && html`<${Elsewhere} cards=${elsewhere} />`}
  <//>`;
}

function Choice({ group, name, title, card, isChosen, onChoose }) {
  const ms = card?.speed.cpu_ms;
  return html`<label class="model">
    <input type="radio" name=${group} checked=${isChosen} onChange=${onChoose} />
    <span><strong>${name}</strong> <span class="small soft">${title}</span></span>
    ${ms !== undefined && html`<span class="small soft figures">${ms} ms</span>`}
  </label>`;
}

/** Form of a model's parameters from its card. */
function Parameters({ card, form: { recipe, set, wrong } }) {
  const all = Object.entries(card.parameters.properties);
  if (all.length === 0) return html`<p class="small soft">${card.name} has no parameters.</p>`;
  const prefix = `${card.task}.params.`;
  const isOff = recipe[`${prefix}${SWITCH}`] === true;
  return html`<div class="stack">
    ${all.map(([label, schema]) => html`<fieldset key=${label} disabled=${isOff && label !== SWITCH}>
      <${Field} name=${prefix + label} label=${label} schema=${schema} value=${recipe[prefix + label]}
        wrong=${wrong[prefix + label]} onChange=${(value) => set(prefix + label, value)} />
    </fieldset>`)}
  </div>`;
}

/** Models that cannot run here, the reasons, and their parameters. */
function Elsewhere({ cards }) {
  return html`<details class="more"><summary>Not available here: ${cards.map((card) => card.name).join(", ")}</summary>
    <div class="stack">
      ${cards.map((card) => html`<section key=${card.name} class="stack tight elsewhere">
        <h4>${card.name}</h4>
        <p class="small soft">${card.title}</p>
        <p class="notice fair small">${card.fault ?? "No worker offers it."}</p>
        <details class="more"><summary>Parameters of ${card.name}</summary>
          <fieldset disabled class="stack">
            ${Object.entries(card.parameters.properties).map(([label, schema]) => html`<${Field}
              key=${label} name=${label} label=${label} schema=${schema} onChange=${() => {}} />`)}
          </fieldset>
        </details>
        <details class="more"><summary>About ${card.name}</summary><${Card} card=${card} /></details>
      </section>`)}
    </div>
  </details>`;
}
