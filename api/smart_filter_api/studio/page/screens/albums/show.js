/** The photos of an album full screen, one at a time. */

import { useLayoutEffect, useRef } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { ServiceImage } from "../../controls/service-image.js";
import { html } from "../../html.js";
import { pictureOf } from "./members.js";

const SWIPE_PX = 50;

/** members: the visible photos. at: the index shown. onMove: called with another index. */
export function Show({ members, at, onMove, onClose }) {
  const element = useRef(null);
  const from = useRef(null);
  useLayoutEffect(() => {
    element.current.showModal();
  }, []);
  const step = (by) => onMove((at + by + members.length) % members.length);
  const keyed = (event) => {
    const to = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    step(to);
  };
  const released = (event) => {
    const moved = event.clientX - (from.current ?? event.clientX);
    from.current = null;
    if (event.pointerType === "touch" && Math.abs(moved) > SWIPE_PX) step(moved < 0 ? 1 : -1);
  };
  const member = members[at];
  return html`<dialog class="show" ref=${element} aria-label="Photos of the album" onClose=${onClose} onKeyDown=${keyed}
    onPointerDown=${(event) => { from.current = event.clientX; }} onPointerUp=${released}>
    <div class="show-bar">
      <p role="status"><strong>${member.name}</strong>
        <span class="figures">${` ${at + 1} of ${members.length}`}</span></p>
      <${Button} kind="quiet" icon="close" label="Close" onClick=${() => element.current.close()} />
    </div>
    <${ServiceImage} src=${pictureOf(member) ?? member.photo.current.links.photo} alt=${member.name}
      draggable=${false} />
    <div class="show-bar">
      <${Button} kind="quiet" icon="arrowLeft" label="Previous" onClick=${() => step(-1)} />
      <p>${member.rank !== null && member.better === null && `Rank ${member.rank}`}</p>
      <${Button} kind="quiet" icon="arrowRight" label="Next" onClick=${() => step(1)} />
    </div>
  </dialog>`;
}
