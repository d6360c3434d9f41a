/** "Choose for me": the chosen background with its reason, and the next best. */

import { Button } from "../../../../controls/button.js";
import { html } from "../../../../html.js";
import { designOf } from "../../../../state/backgrounds.js";
import { change } from "../../../../state/changes.js";
import { designName } from "../../../background/names.js";
import { Thumbnail } from "../../../background/thumbnail.js";

const TERMS = [
  ["mood", "Mood"],
  ["contrast", "Contrast"],
  ["harmony", "Harmony"],
  ["blending", "Clean outline"],
  ["variety", "Surprise"],
];

/** The five best candidates for the photo, with their reasons. */
export function Chosen({ photo, recipe }) {
  const { candidates } = chosenLast(photo) ?? { candidates: [] };
  const shown = shownName(photo, recipe);
  if (candidates.length === 0) {
    return html`<p class="soft small">Five backgrounds that match the faces, the clothes and the
      light of the photo; the best is used.</p>`;
  }
  return html`<div class="stack">
    <ol class="candidates">
      ${candidates.map(
        (candidate) => html`<li key=${candidate.name}>
          <button type="button" class="candidate" aria-pressed=${String(candidate.name === shown)}
            onClick=${() => change(photo, { background: `preset:${candidate.name}` })}>
            <${Thumbnail} design=${designOf(candidate.name).design} />
            <span class="stack tight">
              <span class="row spread"><strong>${designName(candidate.name)}</strong>
                <span class="soft">${percent(candidate.score)}</span></span>
              <span class="terms">
                ${TERMS.map(
                  ([term, title]) => html`<span key=${term}>
                    <span class="soft">${title}</span>
                    <span class="bar"><span style=${{ width: `${100 * candidate.terms[term]}%` }} /></span>
                    <span class="unseen">${percent(candidate.terms[term])}</span>
                  </span>`,
                )}
              </span>
            </span>
          </button>
        </li>`,
      )}
    </ol>
    <div><${Button} kind="small" icon="refresh"
      onClick=${() => change(photo, { background: "auto", seed: null })}>Choose again<//></div>
  </div>`;
}

/** Return the latest choice for the photo; it also holds for versions derived from it. */
function chosenLast(photo) {
  const choices = [photo.current, ...photo.versions.toReversed()];
  return choices.map((job) => job.background).find((choice) => choice?.candidates.length > 0);
}

function shownName(photo, recipe) {
  if (recipe.background === "auto") return photo.current.background?.name;
  return recipe.background.replace(/^preset:/, "");
}

function percent(share) {
  return `${Math.round(100 * share)}\u00a0%`;
}
