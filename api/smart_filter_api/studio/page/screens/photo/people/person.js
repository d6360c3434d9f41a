/** One person: face, smile, eyes and mood. */

import { Button } from "../../../controls/button.js";
import { html } from "../../../html.js";
import { useFocusHandedOn } from "../viewer/focus.js";

const SMILES = {
  none: "Not smiling",
  mild: "Slight smile",
  moderate: "Smiling",
  huge: "Big smile",
};
const TONES = { none: "", mild: "fair", moderate: "good", huge: "good" };
const MOODS = {
  neutral: "Neutral",
  happiness: "Happy",
  surprise: "Surprised",
  sadness: "Sad",
  anger: "Angry",
  disgust: "Disgusted",
  fear: "Afraid",
  contempt: "Contemptuous",
};
const MOODS_SHOWN = 3;
const LEAST_SHARE = 0.02;
// Side of the crop, as a multiple of the face box's larger side: includes hair and chin.
const CROP = 1.5;

/**
 * A row of the list. faces: overlay of people/faces.js, for highlighting. onRemove: removes the
 * face; undefined while it cannot be removed.
 */
export function Person({ face, number, job, preview, view, faces, onRemove }) {
  const element = useFocusHandedOn();
  const index = number - 1;
  const isMarked = faces.marked.value === index;
  const mark = () => {
    faces.marked.value = index;
  };
  const unmark = () => {
    if (faces.marked.value === index) faces.marked.value = null;
  };
  const { smile, eyes, emotion } = face;
  return html`<li class=${`person ${isMarked ? "marked" : ""}`} ref=${element} onPointerEnter=${mark}
    onPointerLeave=${unmark} onFocusIn=${mark} onFocusOut=${unmark}>
    <button type="button" class="portrait" aria-label=${`Person ${number}: show in the picture`}
      title="Show in the picture" onClick=${() => view.show(around(face.box))}>
      ${preview && html`<${Portrait} face=${face} photo=${job.photo} preview=${preview} />`}
    </button>
    <div class="stack tight">
      <div class="row spread"><h3>Person ${number}</h3>
        ${face.added && html`<span class="tag">Added</span>`}
        <${Button} kind="quiet" icon="clear" label=${`Remove the face of person ${number}`}
          aria-disabled=${onRemove ? undefined : "true"} onClick=${onRemove} /></div>
      <div class="row wrap">${smile && html`<span class=${`tag ${TONES[smile.level]}`}>${SMILES[smile.level]}${" "}
          <span class="figures">${smile.score.toFixed(2)}</span></span>`}</div>
      <p class="small">${eyesInWords(eyes)}</p>
      ${emotion && html`<${Moods} emotion=${emotion} />`}
      ${job.rating && smile && html`<p class="small soft">Counts ${weightOf(job, smile)} of 1 for
        smiles, ${openOf(eyes)} of 2 for open eyes.</p>`}
    </div>
  </li>`;
}

function Portrait({ face, photo, preview }) {
  return html`<svg viewBox=${around(face.box).join(" ")} aria-hidden="true">
    <image href=${preview.address} width=${photo.width} height=${photo.height} /></svg>`;
}

function Moods({ emotion }) {
  const strongest = Object.entries(emotion)
    .sort(([, one], [, other]) => other - one)
    .filter(([, share], place) => place === 0 || share >= LEAST_SHARE)
    .slice(0, MOODS_SHOWN);
  return html`<dl class="moods small">
    ${strongest.map(([name, share]) => html`<div key=${name}>
      <dt>${MOODS[name]}</dt>
      <dd><span class="bar" aria-hidden="true"><span style=${{ width: `${100 * share}%` }} /></span>
        <span class="figures">${Math.round(100 * share)} %</span></dd></div>`)}
  </dl>`;
}

function eyesInWords({ left_open: left, right_open: right }) {
  if (left === right) return `Both eyes ${eye(left)}`;
  return `Left eye ${eye(left)}, right eye ${eye(right)}`;
}

function eye(isOpen) {
  if (isOpen === null) return "not visible enough";
  return isOpen ? "open" : "closed";
}

function weightOf(job, smile) {
  return job.rating.weights[smile.level].toFixed(1);
}

function openOf({ left_open: left, right_open: right }) {
  return Number(left === true) + Number(right === true);
}

/** Return a square around a face. */
function around([x, y, width, height]) {
  const side = CROP * Math.max(width, height);
  return [x + width / 2 - side / 2, y + height / 2 - side / 2, side, side];
}
