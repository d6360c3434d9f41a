/** Explanation of the rating with the numbers of this photo. */

import { html } from "../../../html.js";

/** The rating, its two terms, and the formula. */
export function Rating({ job }) {
  const { points: total, shares, avg_smiling_score: smiles } = job.rating;
  const { faces, open_eyes: open, known_eyes: known } = job.rating;
  const unseen = 2 * faces - known;
  const ratio = known > 0 ? open / known : smiles;
  const each = job.faces.map((face) => weightOf(face, job.rating.weights));
  return html`<section class="rating stack" aria-label="Rating">
    <div class="row spread"><h2>Rating</h2>
      <p class="score figures"><strong>${total}</strong> of 100</p></div>
    <${Term} title="Smiles" got=${shares.smile * smiles} most=${shares.smile}>
      ${faces === 1 ? "This smile counts" : "On average they count"} ${smiles.toFixed(2)} of 1.
    <//>
    <${Term} title="Open eyes" got=${shares.eyes * ratio} most=${shares.eyes}>
      ${known > 0 && `${open} of ${known} are open. `}${unseen > 0 && `${unseen} not seen.`}
    <//>
    <details class="small"><summary>How it is calculated</summary>
      <div class="stack tight soft">
        <p>A smile counts ${levels(job.rating.weights)}.
          ${faces > 1 && ` Here: (${each.join(" + ")}) ÷ ${faces} = ${smiles.toFixed(2)}.`}</p>
        <p>${known > 0
          ? `Eyes count by how many are open: ${open} ÷ ${known} = ${ratio.toFixed(2)}.`
          : "Where no eye is seen, smiles count in place of eyes."}</p>
        <p class="figures">${shares.smile} × ${smiles.toFixed(2)} + ${shares.eyes} × ${ratio.toFixed(2)} =
          <strong> ${(total / 100).toFixed(2)}</strong></p>
      </div>
    </details>
  </section>`;
}

function Term({ title, got, most, children }) {
  return html`<div class="term">
    <div class="row spread small"><strong>${title}</strong>
      <span class="figures soft">${points(got)} of ${points(most)}</span></div>
    <div class="bar" aria-hidden="true"><span style=${{ width: `${(100 * got) / most}%` }} /></div>
    <p class="small soft">${children}</p>
  </div>`;
}

function weightOf({ smile }, weights) {
  return (smile ? weights[smile.level] : 0).toFixed(1);
}

function points(share) {
  return Math.round(100 * share);
}

function levels({ none, mild, moderate, huge }) {
  return [
    `${huge.toFixed(1)} when big`,
    `${moderate.toFixed(1)} when clear`,
    `${mild.toFixed(1)} when slight`,
    `and ${none.toFixed(1)} without a smile`,
  ].join(", ");
}
