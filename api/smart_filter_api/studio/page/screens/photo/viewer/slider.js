/** The slider between photo and result. */

import { useRef } from "preact/hooks";
import { html } from "../../../html.js";
import { slideX } from "./layers.js";

const STEP = 0.02;
const LEAP = 0.1;

/** A handle moved by dragging, arrows, Page Up and Down, Home and End. */
export function Slider({ view }) {
  const { top, bottom } = view.visible.value;
  const percent = Math.round(100 * view.split.value);
  const place = { left: `${slideX(view)}px`, top: `${top}px`, height: `${bottom - top}px` };
  const key = (event) => {
    const next = moved(event.key, view.split.value);
    if (next === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    view.split.value = Math.min(Math.max(next, 0), 1);
    event.preventDefault();
    event.stopPropagation();
  };
  const grabbed = useRef(0);
  const grab = (event) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    event.stopPropagation();
    // Keep the offset between pointer and line, so that the line does not jump.
    grabbed.current = event.clientX - stageLeft(event) - slideX(view);
  };
  const drag = (event) => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const { left, right } = view.visible.value;
    const x = event.clientX - stageLeft(event) - grabbed.current;
    const share = (x - left) / (right - left);
    view.split.value = Math.min(Math.max(share, 0), 1);
    event.stopPropagation();
  };
  return html`<div class="slide" style=${place} role="slider" tabindex="0"
    aria-label="Photo and result" aria-orientation="horizontal" aria-valuemin="0"
    aria-valuemax="100" aria-valuenow=${percent} aria-valuetext=${said(percent)}
    onKeyDown=${key} onPointerDown=${grab} onPointerMove=${drag}
    onDblClick=${(event) => event.stopPropagation()}>
    <svg class="knob" viewBox="0 0 44 44" aria-hidden="true">
      <circle cx="22" cy="22" r="20" /><path d="M17 15l-7 7 7 7M27 15l7 7-7 7" /></svg>
  </div>`;
}

function stageLeft(event) {
  return event.currentTarget.parentElement.getBoundingClientRect().left;
}

function moved(key, now) {
  switch (key) {
    case "ArrowLeft":
    case "ArrowDown":
      return now - STEP;
    case "ArrowRight":
    case "ArrowUp":
      return now + STEP;
    case "PageDown":
      return now - LEAP;
    case "PageUp":
      return now + LEAP;
    case "Home":
      return 0;
    case "End":
      return 1;
    default:
      return undefined;
  }
}

function said(percent) {
  if (percent === 0) return "Only the result";
  if (percent === 100) return "Only the photo";
  return `${percent} % photo, ${100 - percent} % result`;
}
