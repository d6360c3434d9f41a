/** Explanation of the rating with the numbers of this photo. */

import { html } from "../../../html.js";

/** The rating, its two terms, and the formula. */
export function Rating({ job }) {
  const { score, shares, avg_smiling_score: smiles, open_eye_ratio: ratio } = job.rating;
  const { faces, open_eyes: open } = job.rating;
  const eyes = job.faces.flatMap((face) => [face.eyes.left_open, face.eyes.right_open]);
  const unseen = eyes.filter((isOpen) => isOpen === null).length;
  const each = job.faces.map((face) => weightOf(face, job.rating.weights));
  return html`<section class="rating stack" aria-label="Rating">
    <div class="row spread"><h2>Rating</h2>
      <p class="score figures"><strong>${points(score)}</strong> of 100</p></div>
    <${Term} title="Smiles" got=${shares.smile * smiles} most=${shares.smile}>
      ${faces === 1 ? "This smile counts" : "On average they count"} ${smiles.toFixed(2)} of 1.
    <//>
    <${Term} title="Open eyes" got=${shares.eyes * ratio} most=${shares.eyes}>
      ${open} of ${2 * faces} are open${unseen > 0 && `, ${unseen} not seen`}.
    <//>
    <details class="small"><summary>How it is calculated</summary>
      <div class="stack tight soft">
        <p>A smile counts ${levels(job.rating.weights)}.
          ${faces > 1 && ` Here: (${each.join(" + ")}) ÷ ${faces} = ${smiles.toFixed(2)}.`}</p>
        <p>Eyes count by how many are open: ${open} ÷ ${2 * faces} = ${ratio.toFixed(2)}. An eye that is not
          seen adds nothing: it may be open or closed.</p>
        <p class="figures">${shares.smile} × ${smiles.toFixed(2)} + ${shares.eyes} × ${ratio.toFixed(2)} =
          <strong> ${score.toFixed(2)}</strong></p>
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
