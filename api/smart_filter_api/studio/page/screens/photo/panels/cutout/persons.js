/** Choice of the kept people: boxes to click on the picture, and a list for the keyboard. */

import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { html } from "../../../../html.js";
import { change, recipeOf } from "../../../../state/changes.js";
import { pictured } from "../../viewer/shown.js";
import { useOverlay } from "../../viewer/view.js";
import { useLatestPicture } from "./latest.js";

// Choices of people that the service makes, with their labels.
const CHOICES = [["main", "Main people"], ["front", "Front row"], ["largest", "Only the largest"]];
const LABEL_PX = 13;
const PADDING_PX = 7;
// Largest pointer movement of a click.
const STILL_PX = 6;

/** The tool: a click or a check box keeps or removes a person. */
export function Persons({ photo, view }) {
  const job = pictured(photo);
  const [boxes] = useState(() => new Boxes(view));
  const persons = job.persons ?? [];
  const kept = keptOf(persons, recipeOf(photo).persons);
  const keep = (numbers) => change(photo, { persons: textOf(numbers, persons) });
  const toggle = (number) => {
    const others = kept.filter((one) => one !== number);
    const next = others.length < kept.length ? others : [...kept, number].sort((a, b) => a - b);
    if (next.length > 0) keep(next);
  };
  boxes.persons = persons;
  boxes.kept.value = kept;
  boxes.toggle = toggle;
  useOverlay(view, boxes);
  if (job.persons === null) {
    return html`<p class="notice">The model of this cutout does not tell people apart, so it cannot
      remove one of them. Paint over a person with Remove instead.</p>`;
  }
  if (persons.length === 0) {
    return html`<p class="notice">No person was found in this photo. If there is one, paint over
      them with Keep.</p>`;
  }
  if (!hasChoice(persons)) {
    return html`<p class="soft small">Only one person was found. Paint with Keep and Remove to change
      their outline.</p>`;
  }
  return html`<div class="stack">
    <p class="soft small">Click people in the picture, or here, to keep or remove them.</p>
    <ul class="person-list">
      ${persons.map(({ number, box, role }) => html`<${Row} key=${number} number=${number}
        box=${box} role=${role} job=${job} isKept=${kept.includes(number)} isLast=${kept.length === 1} boxes=${boxes}
        onToggle=${() => toggle(number)} />`)}
    </ul>
    <div class="row wrap">
      <${Button} kind="small" icon="people" aria-disabled=${kept.length === persons.length}
        onClick=${() => kept.length < persons.length && keep(persons.map(({ number }) => number))}>
        All people<//>
      ${CHOICES.map(([value, label]) => html`<${Button} key=${value} kind="small" icon="face"
        aria-pressed=${recipeOf(photo).persons === value}
        onClick=${() => change(photo, { persons: value })}>${label}<//>`)}
    </div>
  </div>`;
}

function Row({ number, box, job, role, isKept, isLast, boxes, onToggle }) {
  const preview = useLatestPicture(job.links.photo)?.picture;
  const [x, y, width, height] = box;
  // A person's face is in the upper part of the box.
  const side = 0.6 * Math.min(width, height);
  const portrait = [x + (width - side) / 2, y, side, side].join(" ");
  const mark = () => {
    boxes.marked.value = number;
  };
  const unmark = () => {
    boxes.marked.value = null;
  };
  const isHeld = isKept && isLast;
  const name = nameOf(number, role);
  return html`<li class=${boxes.marked.value === number ? "marked" : ""} onPointerEnter=${mark}
    onPointerLeave=${unmark} onFocusIn=${mark} onFocusOut=${unmark}>
    <label>
      <input type="checkbox" checked=${isKept} aria-disabled=${isHeld}
        aria-label=${`${name}, ${isKept ? "kept" : "dropped"}`}
        aria-describedby=${isHeld ? `last-${number}` : undefined}
        onClick=${(event) => isHeld && event.preventDefault()} onChange=${onToggle} />
      <svg class="portrait" viewBox=${portrait} preserveAspectRatio="xMidYMin slice"
        aria-hidden="true">${preview && html`<image href=${preview.address}
          width=${job.photo.width} height=${job.photo.height} />`}</svg>
      <span class="name"><strong>${name}</strong>
        <span class="small soft">${isKept ? "kept" : "dropped"}</span></span>
    </label>
    ${isHeld && html`<span class="small soft" id=${`last-${number}`}>At least one person must stay</span>`}
  </li>`;
}

/** An overlay (viewer/view.js) with a box around each person. */
class Boxes {
  cursor = "pointer";
  persons = [];
  /** Numbers of the kept people. */
  kept = signal([]);
  /** Number of the person under the pointer, or null. */
  marked = signal(null);
  toggle = () => {};
  #view;
  #pressed = null;

  constructor(view) {
    this.#view = view;
  }

  Layer = ({ view, job }) => {
    const { width, height } = job.photo;
    if (!hasChoice(this.persons)) return null;
    return html`<svg class="persons" viewBox=${`0 0 ${width} ${height}`} aria-hidden="true">
      ${this.persons.map(({ number, box, role }) => html`<${Box} key=${number} number=${number}
        isPossible=${role === "possible"} box=${box} scale=${view.scale.value} isKept=${this.kept.value.includes(number)}
        isMarked=${this.marked.value === number} />`)}
    </svg>`;
  };

  hover = (point) => {
    this.marked.value = point === null ? null : this.#at(point);
  };

  down = (point, event) => {
    const number = event.button === 0 && hasChoice(this.persons) ? this.#at(point) : null;
    if (number === null) return false;
    this.#pressed = { number, x: event.clientX, y: event.clientY, isStill: true };
    return true;
  };

  move = (point, { clientX, clientY }) => {
    const { x, y, isStill } = this.#pressed;
    if (isStill && Math.hypot(clientX - x, clientY - y) < STILL_PX) return;
    // A drag pans the picture, as it does outside the boxes.
    this.#view.pan(clientX - x, clientY - y);
    Object.assign(this.#pressed, { x: clientX, y: clientY, isStill: false });
  };

  up = () => {
    if (this.#pressed.isStill) this.toggle(this.#pressed.number);
  };

  /** Return the number of the smallest box around a point; in a crowd, boxes overlap. */
  #at({ x, y }) {
    const around = this.persons.filter(({ box: [left, top, width, height] }) =>
      x >= left && x <= left + width && y >= top && y <= top + height);
    const area = ({ box }) => box[2] * box[3];
    return around.sort((one, other) => area(one) - area(other))[0]?.number ?? null;
  }
}

function Box({ number, isPossible, box: [x, y, width, height], scale, isKept, isMarked }) {
  const px = 1 / scale;
  const name = isPossible ? "Maybe a person" : number;
  const words = `${name}${isMarked || isPossible ? (isKept ? " · drop" : " · keep") : ""}`;
  const tall = (LABEL_PX + PADDING_PX) * px;
  const wide = (words.length * 7.5 + 2 * PADDING_PX) * px;
  return html`<g class=${`${isKept ? "kept" : "dropped"} ${isMarked ? "marked" : ""}`}>
    <rect class="rim" x=${x} y=${y} width=${width} height=${height} rx=${10 * px} />
    <rect class="outline" x=${x} y=${y} width=${width} height=${height} rx=${10 * px} />
    <g transform=${`translate(${x + 8 * px} ${y + 8 * px})`}>
      <rect class="label" width=${wide} height=${tall} rx=${tall / 2} />
      <text x=${wide / 2} y=${tall / 2} font-size=${LABEL_PX * px}>${words}</text></g>
  </g>`;
}

/** Return whether there is anyone to keep or to drop. */
export function hasChoice(persons) {
  return persons.length > 1 || persons.some(({ role }) => role === "possible");
}

/** How the list names people, by their role. */
const NAMES = { subject: "Person", bystander: "Bystander", possible: "Maybe a person:" };

function nameOf(number, role) {
  return `${NAMES[role]} ${number}`;
}

/** Return the numbers of the people that a recipe's `persons` keeps. */
function keptOf(persons, said) {
  if (said === "all") return persons.filter(({ role }) => role === "subject").map(({ number }) => number);
  if (/^\d/.test(said)) return said.split(",").map(Number);
  // The service chooses; until the version is finished, these are the people of the one shown.
  return persons.filter(({ kept }) => kept).map(({ number }) => number);
}

/** Return the recipe's `persons` that keeps these people. */
function textOf(numbers, persons) {
  const all = keptOf(persons, "all").join(",");
  return numbers.join(",") === all ? "all" : numbers.join(",");
}
