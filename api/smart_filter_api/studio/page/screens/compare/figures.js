/** Figures of two versions of a photo: findings, rating, durations and recipes. */

import { html } from "../../html.js";
import { offer } from "../../state/models.js";
import { timesCorrected } from "../../state/photos.js";
import { asked, differing } from "../../state/recipes.js";
import { timeOf } from "../photo/panels/expert/ran.js";
import { TITLES } from "../photo/panels/expert/task.js";

/** Table of the figures of two versions. */
export function Figures({ one, other }) {
  const recipes = [one, other].map((job) => asked(job, offer.value.fields));
  const parts = [
    { title: "Differences of the recipes", isCode: true, rows: differing(...recipes).sort().map((name) => [
      name, ...recipes.map((recipe) => (name in recipe ? [recipe[name]].flat().join(", ") : "default")),
    ]) },
    { title: "Results", rows: FOUND.map(([title, of]) => [title, of(one), of(other)]) },
    { title: "Time", rows: timeRows(one, other) },
  ];
  return html`<section class="panel figures-panel"><table class="figures">
    <caption><h2>Figures</h2></caption>
    <thead><tr><td /><th scope="col">A</th><th scope="col">B</th></tr></thead>
    ${parts.map(({ title, rows, isCode }) => html`<tbody key=${title}>
      <tr><th colspan="3" scope="rowgroup" class="part">${title}</th></tr>
      ${rows.length === 0 && html`<tr><td colspan="3" class="soft">None: the recipes are the same.</td></tr>`}
      ${rows.filter(([, a, b]) => a !== "" || b !== "").map(([name, a, b]) => html`<tr key=${name}
        class=${a === b ? "" : "differs"}>
        <th scope="row">${isCode ? html`<code>${name}</code>` : name}</th><td>${a || "–"}</td><td>${b || "–"}</td></tr>`)}
    </tbody>`)}
  </table></section>`;
}

const FOUND = [
  ["Corrected by hand", (job) => correctedInWords(timesCorrected(job))],
  ["State", (job) => (job.state === "succeeded" ? "" : job.state)],
  ["People", (job) => shown(job.people)],
  ["Faces", (job) => shown(job.faces?.length)],
  ["Rating", (job) => shown(job.rating?.points, (points) => `${points} of 100`)],
  ["Models agree", (job) => shown(job.confidence, (share) => `${Math.round(100 * share)} %`)],
  ["Prints", (job) => shown(job.printability?.verdict)],
  ["Picture", (job) => shown(job.image, ({ width, height, format }) => `${width} × ${height} ${format}`)],
  ["File", (job) => shown(job.image, ({ bytes }) => `${Math.round(bytes / 1000)} kB`)],
];

function timeRows(one, other) {
  const names = [...new Set([...one.stages, ...other.stages].map((stage) => stage.name))];
  const durationOf = (job, name) => {
    const stage = job.stages.find((candidate) => candidate.name === name);
    return stage === undefined ? "" : `${timeOf(stage)} · ${stage.model}`;
  };
  const sum = (job) => job.stages.reduce((seconds, stage) => seconds + (stage.seconds ?? 0), 0);
  return [
    ...names.map((name) => [TITLES[name] ?? name, durationOf(one, name), durationOf(other, name)]),
    ["In all", `${sum(one).toFixed(2)} s`, `${sum(other).toFixed(2)} s`],
  ];
}

function correctedInWords(times) {
  if (times === 0) return "";
  return times === 1 ? "once" : `${times} times`;
}

function shown(value, words = String) {
  return value === null || value === undefined ? "" : words(value);
}
