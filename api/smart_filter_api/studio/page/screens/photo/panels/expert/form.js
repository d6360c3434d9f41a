/** A whole recipe to fill in: a part for each task's models, and parts for the other fields. */

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

/** Which fields stand together; any other that the service has is under "More". */
const PARTS = [
  { title: "Picture", names: ["background", "outputs", "persons", "require_person", "seed"] },
  { title: "Frame", names: ["crop", "margin", "aspect", "size", "scale", "position", "roi"] },
  { title: "Edge and light", names: ["edge", "shadow", "outline", "light_wrap", "harmonise"] },
  { title: "File", names: ["format", "quality", "max_bytes", "effort", "matte_bits", "keep_metadata"] },
  { title: "Filters", names: ["filters"] },
  { title: "When it runs", names: ["priority", "deadline_ms", "run_at"] },
];
const MODEL = /\.model$/;

/**
 * Return what a form shows and does with the recipe of a job, as it is drafted under a key.
 *
 * `recipe`: as it is drafted; `base`: as the job has it; `changes`: the names that differ. `set`:
 * give a name a value, undefined for its default. `replace`: draft another recipe. `forget`: draft
 * nothing. `settle`: a recipe was made; what was drafted since then stays. `wrong`: what is wrong, by name; `error`: why it was refused, or null; `fail`: take one.
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
  const told = (error?.errors ?? []).map((one) => [recipes.nameOf(one.pointer), one.detail]);
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
    wrong: Object.fromEntries(told),
  };
}

/** Read what the service has before showing what is made of it; children: a function. */
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
  if (offer.value === null) return html`<p class="soft" role="status">Reading what this service can do</p>`;
  return children();
}

/** All that can be asked for. form: of `useForm`. */
export function Form({ form }) {
  const { fields, tasks } = offer.value;
  const isChosen = (task) => `${task.name}.model` in fields;
  const placed = new Set(PARTS.flatMap((part) => part.names));
  const others = Object.keys(fields).filter((name) => !placed.has(name) && !MODEL.test(name));
  const parts = others.length > 0 ? [...PARTS, { title: "More", names: others }] : PARTS;
  return html`<div class="recipe-form">
    <h2 class="over-groups">Models</h2>
    ${tasks.filter(isChosen).map((task) => html`<${Task} key=${task.name} task=${task} form=${form} />`)}
    <${ByThemselves} tasks=${tasks.filter((task) => !isChosen(task))} />
    <h2 class="over-groups">Recipe</h2>
    ${parts.map((part) => html`<${Part} key=${part.title} ...${part} form=${form} />`)}
  </div>`;
}

function Part({ title, names, form }) {
  const { recipe, wrong } = form;
  const isIn = (name) => names.includes(name.split(".")[0]);
  const count = Object.keys(recipe).filter(isIn).length;
  return html`<${Group} title=${title} isWrong=${Object.keys(wrong).some(isIn)}
    told=${count > 0 && html`<span class="tag accent">${count} set</span>`}>
    ${names.filter((name) => name in offer.value.fields).map((name) => html`<${Of} key=${name}
      name=${name} schema=${offer.value.fields[name]} form=${form} />`)}
    ${title === "Filters" && html`<${Filters} form=${form} />`}
  <//>`;
}

function Of({ name, label = name, schema, form: { job, recipe, wrong, set } }) {
  return html`<${Field} name=${name} label=${label} schema=${schema} value=${recipe[name]}
    wrong=${wrong[name]} placeholder=${name === "seed" ? String(job.seed) : undefined}
    onChange=${(value) => set(name, value)} />`;
}

/** What belongs to each filter that is asked for. */
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

/** Models that no recipe names: what they are, all the same. */
function ByThemselves({ tasks }) {
  const cards = tasks.flatMap((task) => task.models);
  return html`<${Group} title="What runs by itself" told=${html`<span class="tag">${cards.length}</span>`}>
    <p class="small soft">The service's operator chooses these; a recipe does not name them.</p>
    ${cards.map((card) => html`<details key=${`${card.task}/${card.name}`} class="more">
      <summary>${TITLES[card.task] ?? card.task}: ${card.name}${card.default ? "" : ", not in use"}</summary>
      <${Card} card=${card} /></details>`)}
  <//>`;
}

/** Return an error without what it says of a field that is being mended. */
function without(error, name) {
  const errors = (error.errors ?? []).filter((one) => recipes.nameOf(one.pointer) !== name);
  return errors.length === 0 ? null : Object.assign(Object.create(error), { errors });
}
