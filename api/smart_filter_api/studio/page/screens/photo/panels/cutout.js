/** The cutout: which people stay, brush corrections, and the edge quality. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Segmented } from "../../../controls/choices.js";
import { Check, Range } from "../../../controls/fields.js";
import { Icon } from "../../../controls/icon.js";
import { Trouble, say } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import {
  change,
  changeAgain,
  giveUp,
  isChanging,
  isGone,
  recipeOf,
  troubleOf,
} from "../../../state/changes.js";
import {
  canStepForth,
  clear,
  isApplied,
  isFull,
  stepForth,
  strokesOf,
  wasUndone,
} from "../../../state/corrections.js";
import { Lacking } from "../lacking.js";
import { useFocusHandedOn } from "../viewer/focus.js";
import { pictured } from "../viewer/shown.js";
import { useOverlay } from "../viewer/view.js";
import { apply, inWords, undo } from "./cutout/applying.js";
import { Brush } from "./cutout/brush.js";
import { Consent } from "./cutout/consent.js";
import { said } from "./cutout/crosshair.js";
import { Painting } from "./cutout/painting.js";
import { Persons, hasChoice } from "./cutout/persons.js";
import { followsEdges, useRegions } from "./cutout/regions.js";
import { brushWidth, resize, size } from "./cutout/width.js";

export const cutout = { id: "cutout", title: "Cutout", icon: "brush", Panel };

const TOOLS = [
  { value: "persons", label: "Who stays" },
  { value: "touch", label: "Touch up" },
  { value: "keep", label: "Keep" },
  { value: "remove", label: "Remove" },
];
/** Whether a brush keeps; null: it reverses the state below it. */
const KEEPS = { touch: null, keep: true, remove: false };
const HELP = {
  touch: "Click what is wrong: what is seen goes, what is missing comes. Click again for more of it.",
  keep: "Click or paint over what belongs to the people. Click again for more of it.",
  remove: "Click or paint over what to remove. Click again for more of it.",
};
const ENTERS = {
  touch: "Enter keeps or removes what is there.",
  keep: "Enter keeps.",
  remove: "Enter removes.",
};
const EDGES = [
  { value: "fast", label: "Quick" },
  { value: "balanced", label: "Good" },
  { value: "best", label: "Finest" },
];

function Panel({ photo, view }) {
  const job = pictured(photo);
  const why = whyNot(photo, job);
  if (why !== null) return html`<div class="notice"><${Icon} name="alert" /><p>${why}</p></div>`;
  return html`<${Correcting} photo=${photo} view=${view} job=${job} />`;
}

function Correcting({ photo, view, job }) {
  const [tool, take] = useState(hasChoice(job.persons ?? []) ? "persons" : "touch");
  const [painting] = useState(() => new Painting());
  painting.photo = photo;
  painting.regions = useRegions(job);
  useOverlay(view, painting);
  useView(view, job, tool);
  const trouble = troubleOf(photo);
  const count = strokesOf(photo).length;
  return html`<div class="cutout-panel stack">
    <${Segmented} legend="Tool" options=${TOOLS} value=${tool}
      onChange=${take} />
    ${(count > 0 || canStepForth(photo)) && html`<${Strokes} count=${count} photo=${photo} />`}
    ${tool === "persons"
      ? html`<${Persons} photo=${photo} view=${view} />`
      : html`<${Painter} key="brush" tool=${tool} photo=${photo} view=${view} job=${job}
          painting=${painting} />`}
    ${trouble && html`<${Trouble} error=${inWords(trouble)}>
      <${Button} kind="small" icon="refresh" onClick=${() => changeAgain(photo)}>Try again<//>
      <${Button} kind="small" onClick=${() => giveUp(photo)}>Leave it<//>
    <//>`}
    <div class="row spread">
      ${job.outputs.matte && html`<${Check} checked=${view.mode.value === "photo"}
        onChange=${(isChecked) => {
          view.mode.value = isChecked ? "photo" : resultOf(job);
        }}>Show the mask on the photo<//>`}
    </div>
    <hr />
    <div class="field"><span class="label" aria-hidden="true">Edge of the people</span>
      <${Segmented} legend="Edge of the people" options=${EDGES} value=${recipeOf(photo).edge}
        onChange=${(edge) => change(photo, { edge })} /></div>
    <hr />
    <${Consent} photo=${photo} />
  </div>`;
}

/** The brush, while it is the chosen tool. */
function Painter({ tool, photo, view, job, painting }) {
  const [brush] = useState(() => new Brush(view, painting));
  brush.keeps = KEEPS[tool];
  useOverlay(view, brush);
  useBrushKeys(photo);
  const width = brushWidth(pictured(photo).photo);
  return html`<div class="stack">
    <${Range} label="Size" min="0" max="100" value=${size.value}
      shown=${`${width < 10 ? width.toFixed(1) : Math.round(width)} px`}
      onInput=${(value) => {
        size.value = value;
      }} />
    ${job.outputs.regions
      ? html`<${Check} checked=${followsEdges.value} onChange=${(isChecked) => {
          followsEdges.value = isChecked;
        }}>Follow the edges in the photo<//>`
      : html`<${Lacking} job=${job} outputs=${["regions"]}>The brush follows edges once the
          photo's regions are there.<//>`}
    ${brush.isCoarse.value && followsEdges.value && html`<div class="notice row spread"><span>The
      area there is much larger than the brush.</span>
      <${Button} kind="small" onClick=${() => {
        followsEdges.value = false;
      }}>Paint exactly<//></div>`}
    ${isFull(photo) && html`<p class="notice fair">The maximum number of strokes is reached.</p>`}
    <p class="soft small">${HELP[tool]}
      ${" "}<span class="by-finger">Two fingers move and zoom the picture.</span>
      <span class="by-mouse">The wheel zooms; hold the space bar to move the picture. <kbd>[</kbd>
        ${" "}and <kbd>]</kbd> change the size, the wheel with <kbd>Shift</kbd> what a click takes.</span></p>
    <div class="by-keys">
      <${Button} kind="small" id="by-keys" aria-describedby="crosshair-keys"
        onClick=${() => document.getElementById("crosshair")?.focus()}>Paint by keyboard<//>
      <p class="soft small" id="crosshair-keys">Arrows move the brush, with Shift further.
        ${" "}${ENTERS[tool]} Backspace removes, Escape leaves the brush.</p>
    </div>
    <p class="unseen" role="status">${said.value}</p>
  </div>`;
}

/** The painted strokes. */
function Strokes({ count, photo }) {
  const isBusy = isChanging(photo);
  const element = useFocusHandedOn();
  const isDone = isApplied(photo);
  const wipe = () => {
    clear(photo);
    if (wasUndone(photo)) apply(photo);
    say("The strokes are cleared.", { label: "Undo", run: () => undo(photo) });
  };
  return html`<div class="strokes row" role="group" aria-label="Painted strokes" ref=${element}>
    <span class="small figures" role="status">${count === 1 ? "1 stroke" : `${count} strokes`}</span>
    <${Button} kind="quiet" icon="undo" label="Undo the last stroke" aria-keyshortcuts="Control+Z"
      aria-disabled=${count === 0} onClick=${() => undo(photo)} />
    <${Button} kind="quiet" icon="redo" label="Redo the last stroke"
      aria-keyshortcuts="Control+Shift+Z" aria-disabled=${!canStepForth(photo)}
      onClick=${() => stepForth(photo)} />
    <${Button} kind="quiet" icon="clear" label="Clear all strokes" aria-disabled=${count === 0}
      onClick=${() => count > 0 && wipe()} />
    <${Button} kind="primary" icon="check" aria-disabled=${isBusy || isDone}
      onClick=${() => !isBusy && !isDone && apply(photo)}>${isBusy ? "Working" : "Apply"}<//>
  </div>`;
}

/** Show the picture while a brush paints, and the photo with the mask where people are chosen. */
function useView(view, job, tool) {
  const isMask = tool === "persons";
  useEffect(() => {
    if (!job.outputs.matte) return undefined;
    const before = view.mode.value;
    const shown = isMask ? "photo" : resultOf(job);
    view.mode.value = shown;
    return () => {
      if (view.mode.value === shown) view.mode.value = before;
    };
  }, [view, isMask]);
}

/** Return the view of a job in which people stand out from what is behind them. */
function resultOf(job) {
  const isCut = job.background?.kind !== "keep";
  return isCut || !job.outputs.cutout ? "image" : "cutout";
}

/** Ctrl+Z and Ctrl+Shift+Z undo and redo strokes before versions; brackets change the brush size. */
function useBrushKeys(photo) {
  useEffect(() => {
    const pressed = (event) => {
      if (event.target.closest?.("dialog, textarea, select, input:not([type=range], [type=checkbox], [type=radio])")) return;
      const isUndo = (event.ctrlKey || event.metaKey) && !event.altKey
        && event.key.toLowerCase() === "z";
      const wider = { "[": -1, "]": 1 }[event.key];
      if (isUndo) {
        if (!(event.shiftKey ? stepForth : undo)(photo)) return;
      } else if (wider !== undefined && !event.ctrlKey && !event.metaKey) resize(wider);
      else return;
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    // Capture: runs before the handler that undoes versions.
    addEventListener("keydown", pressed, { capture: true });
    return () => removeEventListener("keydown", pressed, { capture: true });
  }, [photo.id]);
}

/** Return why the cutout cannot be corrected; null when it can. */
function whyNot(photo, job) {
  if (job.state !== "succeeded") return "The cutout can be corrected once the picture is finished.";
  const hasCut = job.stages.some((one) => one.name === "segmentation" && one.state === "succeeded");
  if (!hasCut) {
    return "This picture keeps the photo's own background, so nothing is cut out. Choose another background first.";
  }
  if (isGone(photo)) return "The photo has expired, so it cannot be processed. Add it again.";
  return null;
}
