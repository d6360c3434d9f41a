/** The tenant's own pictures: add one, see them, delete one. */

import { useEffect, useRef, useState } from "preact/hooks";
import { useAttempt } from "../../controls/attempt.js";
import { Button } from "../../controls/button.js";
import { Dialog } from "../../controls/dialog.js";
import { Trouble, say } from "../../controls/notices.js";
import { ServiceImage } from "../../controls/service-image.js";
import { html } from "../../html.js";
import { useHeld } from "../../state/backgrounds.js";
import { addPicture, adding, deletePicture, mayAddPictures, ownPictures } from "../../state/own-pictures.js";
import { PictureButton } from "./picture-button.js";

const WORDS = {
  background: { add: "Add a picture", file: "Picture to add", several: "Your pictures" },
  logo: { add: "Add a logo", file: "Logo to add", several: "Your logos" },
};
const STATES = { pending: "is being read", refused: "cannot be used" };

/**
 * Nothing for a session that may not add pictures.
 *
 * use: "background" or "logo". onAdded: called with a picture that was added while this is shown.
 */
export function OwnPictures({ use, onAdded }) {
  const { attempt, error } = useAttempt();
  const isHere = useRef(true);
  useEffect(() => () => {
    isHere.current = false;
  }, []);
  if (!mayAddPictures()) return null;
  const file = adding.value[use];
  const add = (chosen) => attempt(async () => {
    const added = await addPicture(chosen, use);
    say(`${added.title} is one of your ${use === "logo" ? "logos" : "pictures"} now.`);
    if (isHere.current) onAdded(added);
  });
  return html`<div class="own-pictures stack tight">
    <div class="row wrap">
      ${file === null
        ? html`<${PictureButton} kind="small" label=${WORDS[use].file} onPick=${add}>
            ${WORDS[use].add}<//>`
        : html`<p class="row soft small" role="status"><span class="busy" aria-hidden="true" />
            <span>Adding <span class="file-name">${file}</span></span></p>`}
    </div>
    ${error && html`<${Trouble} error=${error} />`}
    <${List} use=${use} />
  </div>`;
}

function List({ use }) {
  const { items } = useHeld(ownPictures);
  const [leaving, setLeaving] = useState(null);
  const heading = useRef(null);
  const own = (items ?? []).filter((one) => one.use === use);
  if (own.length === 0) return null;
  const close = (isGone) => {
    setLeaving(null);
    if (isGone) heading.current?.focus();
  };
  return html`<details>
    <summary ref=${heading}>${WORDS[use].several}, ${own.length}</summary>
    <ul>
      ${own.map((picture) => html`<li class="row" key=${picture.name}>
        <span class="thumbnail">${picture.thumbnail && html`<${ServiceImage} src=${picture.thumbnail}
          alt="" width="240" height="160" loading="lazy" instead=${null} />`}</span>
        <span class="about"><strong>${picture.title}</strong>
          <span class="soft small">${picture.error?.detail ?? STATES[picture.state] ?? picture.name}</span></span>
        <${Button} kind="small quiet" icon="clear" label=${`Delete ${picture.title}`}
          onClick=${() => setLeaving(picture)} />
      </li>`)}
    </ul>
    ${leaving && html`<${Leaving} picture=${leaving} onClose=${close} />`}
  </details>`;
}

/** Confirmation. onClose: called with whether the picture is gone. */
function Leaving({ picture, onClose }) {
  const { attempt, error } = useAttempt();
  const remove = () => attempt(async () => {
    await deletePicture(picture);
    say(`${picture.title} is deleted.`);
    onClose(true);
  });
  return html`<${Dialog} title=${`Delete “${picture.title}”?`} onClose=${() => onClose(false)}
    actions=${html`<${Button} onClick=${() => onClose(false)}>Keep<//>
      <${Button} kind="danger" icon="clear" onClick=${remove}>Delete<//>`}>
    <p>Pictures that were made with it stay. Recipes that name it, and photos that still wait for it,
      will fail.</p>
    ${error && html`<${Trouble} error=${error} />`}
  <//>`;
}
