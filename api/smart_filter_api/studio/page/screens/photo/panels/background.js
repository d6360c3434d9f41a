/** Background of the people, and how they are blended with it. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../../controls/button.js";
import { Icon } from "../../../controls/icon.js";
import { Trouble } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { isPassing } from "../../../service/problems.js";
import { changesTo } from "../../../state/background-choice.js";
import { useHeld, library } from "../../../state/backgrounds.js";
import {
  change,
  changeAgain,
  giveUp,
  isChanging,
  isGone,
  recipeOf,
  troubleOf,
} from "../../../state/changes.js";
import { isFinal } from "../../../state/jobs.js";
import { Blur } from "./background/blur.js";
import { Chosen } from "./background/chosen.js";
import { Color } from "./background/color.js";
import { Designs } from "./background/designs.js";
import { Look } from "./background/look.js";
import { nameOf } from "../../background/names.js";
import { OwnPicture } from "./background/own-picture.js";
import { Versions } from "./background/versions.js";
import { Words } from "./background/words.js";

export const background = { id: "background", title: "Background", icon: "swatch", Panel };

/**
 * Kinds of background. `asks`: the background that a click requests at once; other kinds first
 * show a choice. `has`: returns whether a recipe's background is of this kind.
 */
const KINDS = [
  {
    id: "auto",
    title: "Choose for me",
    icon: "wand",
    has: (background) => background === "auto",
    asks: () => ({ background: "auto" }),
    Body: Chosen,
  },
  {
    id: "designs",
    title: "Designs",
    icon: "sheet",
    has: (background) => background.startsWith("preset:"),
    Body: Designs,
  },
  {
    id: "words",
    title: "In words",
    icon: "tag",
    has: (background) => background.startsWith("keywords:"),
    Body: Words,
  },
  {
    id: "color",
    title: "Color",
    icon: "swatch",
    has: (background) => background.startsWith("color:"),
    Body: Color,
  },
  {
    id: "blur",
    title: "Blur",
    icon: "drop",
    has: (background) => background.startsWith("blur:"),
    asks: () => ({ background: "blur:0.5" }),
    Body: Blur,
  },
  {
    id: "file",
    title: "My picture",
    icon: "upload",
    has: (background) => background === "file" || background.startsWith("url:"),
    Body: OwnPicture,
  },
  {
    id: "transparent",
    title: "Transparent",
    icon: "transparent",
    has: (background) => background === "transparent",
    asks: (recipe) => changesTo("transparent", recipe),
    Body: () => html`<p class="soft small">The people alone, with transparency. Saved as a PNG, for
      any use.</p>`,
  },
  {
    id: "keep",
    title: "Original",
    icon: "image",
    has: (background) => background === "keep",
    asks: (recipe) => changesTo("keep", recipe),
    Body: () => html`<p class="soft small">The photo's own background stays.</p>`,
  },
];

function Panel({ photo }) {
  const recipe = recipeOf(photo);
  const inUse = KINDS.find((kind) => kind.has(recipe.background)) ?? KINDS[0];
  const [openId, open] = useState(inUse.id);
  // Undo and other panels also change the kind; the open kind follows. A candidate picked from
  // "Choose for me" keeps that kind open, and so does a failed request.
  useEffect(() => {
    const isAmongChosen = openId === "auto" && inUse.id === "designs";
    if (!isAmongChosen && troubleOf(photo) === null) open(inUse.id);
  }, [inUse.id]);
  useHeld(library);
  const why = whyNot(photo);
  const { Body, id } = KINDS.find((kind) => kind.id === openId);
  const pick = (kind) => {
    open(kind.id);
    if (kind.asks && kind !== inUse) change(photo, kind.asks(recipe));
  };
  return html`<div class="background-panel stack">
    <div class="now"><${BackgroundShown} photo=${photo} recipe=${recipe} /></div>
    <${Failure} photo=${photo} />
    ${why && html`<div class="notice"><${Icon} name="alert" /><p>${why}</p></div>`}
    <fieldset class="stack" disabled=${why !== null}>
      <div class="kinds" role="group" aria-label="Kind of background">
        ${KINDS.map(
          (kind) => html`<button type="button" class="kind" key=${kind.id}
            aria-pressed=${kind.id === openId ? "true" : "false"} onClick=${() => pick(kind)}>
            <${Icon} name=${kind.icon} /><span>${kind.title}</span>
            ${kind === inUse && html`<span class="in-use"><${Icon} name="check" />
              <span class="unseen">, in use</span></span>`}
          </button>`,
        )}
      </div>
      <${Body} key=${id} photo=${photo} recipe=${recipe} />
    </fieldset>
    <fieldset disabled=${why !== null}>
      <${Look} photo=${photo} recipe=${recipe} />
    </fieldset>
    <${Versions} photo=${photo} />
  </div>`;
}

/** The current background and its reason, or the version being made. */
function BackgroundShown({ photo, recipe }) {
  const { reason } = photo.current.background ?? {};
  // A background that the user named needs no reason.
  const isChosen = /^(auto$|keywords:)/.test(recipe.background);
  return html`<div class="background-shown" role="status">
    <p><strong>${nameOf(photo.current, recipe)}</strong></p>
    ${isChanging(photo)
      ? html`<p class="row soft small"><span class="busy" aria-hidden="true" />In progress</p>`
      : isChosen && reason && html`<p class="soft small">${sentence(reason)}</p>`}
  </div>`;
}

function Failure({ photo }) {
  const error = troubleOf(photo);
  if (error === null) return null;
  // The service would refuse an unchanged request again.
  const isHopeless = error.status !== undefined && !isPassing(error);
  return html`<${Trouble} error=${error}>
    ${!isHopeless && html`<${Button} kind="small" icon="refresh"
      onClick=${() => changeAgain(photo)}>Try again<//>`}
    <${Button} kind="small quiet" onClick=${() => giveUp(photo)}>Keep the current one<//>
  <//>`;
}

function whyNot(photo) {
  if (isGone(photo)) {
    return "The photo has expired on the service, so its background cannot be changed. "
      + "Its pictures stay for a while. Add the photo again to continue.";
  }
  const [first] = photo.versions;
  if (photo.versions.some((job) => job.state === "succeeded")) return null;
  if (!isFinal(first)) return "The picture is still being made.";
  return "There is no picture to change yet: try again on the sheet, or add the photo again.";
}

function sentence(words) {
  return `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}
