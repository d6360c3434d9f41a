/** Form of a whole recipe: a group for each task's models, and groups for the other fields. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Trouble } from "../../../../controls/notices.js";
import { html } from "../../../../html.js";
import { load, offer } from "../../../../state/models.js";
import * as recipes from "../../../../state/recipes.js";
import { Card } from "./card.js";
import { Field } from "./field.js";
import { Group } from "./group.js";
import { TITLES, Task } from "./task.js";

/** The group whose fields have forms of their own, one for each task. */
const MODELS = "Models";

/**
 * Return the state and actions of a form for a job's recipe, drafted under a key.
 *
 * `recipe`: the draft; `base`: the job's recipe; `changes`: the names that differ. `set`: set a
 * name's value, undefined for its default. `replace`: replace the draft. `forget`: discard the draft.
 * `settle`: a recipe was applied; later changes stay. `wrong`: errors by name; `error`: the refusal,
 * or null; `fail`: store a refusal.
 */
export function useForm(key, job) {
  const [error, setError] = useState(null);
  const base = recipes.asked(job, offer.value.fields);
  const recipe = recipes.drafted(key, base);
  const changes = recipes.differing(base, recipe);
  const replace = (next) => {
    setError(null);
    recipes.keepDraft(key, base, next);
  };
  const settle = (sent) => {
    setError(null);
    recipes.keepDraft(key, sent, recipes.drafted(key, sent));
  };
  const set = (name, value) => {
    setError(error && without(error, name));
    recipes.keepDraft(key, base, recipes.changed(recipe, name, value));
  };
  const faults = (error?.errors ?? []).map((one) => [recipes.nameOf(one.pointer), one.detail]);
  return {
    job,
    recipe,
    base,
    changes,
    set,
    replace,
    forget: () => replace(base),
    settle,
    error,
    fail: setError,
    wrong: Object.fromEntries(faults),
  };
}

/** Load the service's offer, then render the children, a function. */
export function Offered({ children }) {
  const [error, setError] = useState(null);
  const read = () => {
    setError(null);
    load().catch(setError);
  };
  useEffect(read, []);
  if (error) {
    return html`<${Trouble} error=${error}><${Button} kind="small" icon="refresh" onClick=${read}>Try
      again<//><//>`;
  }
  if (offer.value === null) return html`<p class="soft" role="status">Loading the models and fields of this service</p>`;
  return children();
}

/** All fields of a recipe. form: see `useForm`. */
export function Form({ form }) {
  const { fields, tasks } = offer.value;
  const isChosen = (task) => `${task.name}.model` in fields;
  const groups = {};
  for (const [name, schema] of Object.entries(fields)) (groups[schema["x-group"]] ??= []).push(name);
  delete groups[MODELS];
  return html`<div class="recipe-form">
    <h2 class="over-groups">Models</h2>
    ${tasks.filter(isChosen).map((task) => html`<${Task} key=${task.name} task=${task} form=${form} />`)}
    <${ByThemselves} tasks=${tasks.filter((task) => !isChosen(task))} />
    <h2 class="over-groups">Recipe</h2>
    ${Object.entries(groups).map(([title, names]) => html`<${Part} key=${title} title=${title}
      names=${names} form=${form} />`)}
  </div>`;
}

function Part({ title, names, form }) {
  const { recipe, wrong } = form;
  const isIn = (name) => names.includes(name.split(".")[0]);
  const count = Object.keys(recipe).filter(isIn).length;
  return html`<${Group} title=${title} isWrong=${Object.keys(wrong).some(isIn)}
    badge=${count > 0 && html`<span class="tag accent">${count} set</span>`}>
    ${names.map((name) => html`<${Of} key=${name} name=${name} schema=${offer.value.fields[name]}
      form=${form} />`)}
    ${names.includes("filters") && html`<${Filters} form=${form} />`}
  <//>`;
}

function Of({ name, label = name, schema, form: { job, recipe, wrong, set } }) {
  return html`<${Field} name=${name} label=${label} schema=${schema} value=${recipe[name]}
    wrong=${wrong[name]} placeholder=${name === "seed" ? String(job.seed) : undefined}
    onChange=${(value) => set(name, value)} />`;
}

/** Parameters of each requested filter. */
function Filters({ form }) {
  const chosen = form.recipe.filters ?? [];
  return offer.value.filters.filter((filter) => chosen.includes(filter.name)).map(
    (filter) => html`<section key=${filter.name} class="stack">
      <h4>${filter.title}</h4>
      ${Object.entries(filter.parameters.properties).map(([label, schema]) => html`<${Of} key=${label}
        name=${`filters.${filter.name}.${label}`} label=${label} schema=${schema} form=${form} />`)}
    </section>`,
  );
}

/** Models that recipes cannot name, with their cards. */
function ByThemselves({ tasks }) {
  const cards = tasks.flatMap((task) => task.models);
  return html`<${Group} title="Automatic models" badge=${html`<span class="tag">${cards.length}</span>`}>
    <p class="small soft">The service's operator chooses these; a recipe does not name them.</p>
    ${cards.map((card) => html`<details key=${`${card.task}/${card.name}`} class="more">
      <summary>${TITLES[card.task] ?? card.task}: ${card.name}${card.default ? "" : ", not in use"}</summary>
      <${Card} card=${card} /></details>`)}
  <//>`;
}

/** Return an error without the part about a field that is being edited. */
function without(error, name) {
  const errors = (error.errors ?? []).filter((one) => recipes.nameOf(one.pointer) !== name);
  return errors.length === 0 ? null : Object.assign(Object.create(error), { errors });
}
