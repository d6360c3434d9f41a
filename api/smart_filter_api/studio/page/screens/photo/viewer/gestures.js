/** Pointers, wheel and keys on the stage: slide, pan, zoom, or input of an overlay. */

import { useEffect, useState } from "preact/hooks";

const WHEEL_STEP = 0.0016;
const LINE_PX = 16;
const PAN_PX = 60;
const KEYS = {
  "+": (view) => view.step(1),
  "=": (view) => view.step(1),
  "-": (view) => view.step(-1),
  0: (view) => view.fit(),
  1: (view) => view.magnify(1),
  ArrowLeft: (view) => view.pan(PAN_PX, 0),
  ArrowRight: (view) => view.pan(-PAN_PX, 0),
  ArrowUp: (view) => view.pan(0, PAN_PX),
  ArrowDown: (view) => view.pan(0, -PAN_PX),
};

/** Handle input on an element; return listeners for it. */
export function useGestures(view, element) {
  const [hands] = useState(() => new Hands(view));
  useEffect(() => {
    // Preact adds passive wheel listeners, which cannot stop the page from scrolling.
    const stage = element.current;
    const turned = (event) => wheel(view, event);
    stage.addEventListener("wheel", turned, { passive: false });
    const released = (event) => {
      if (event.key === " ") hands.isSpaceDown = false;
    };
    addEventListener("keyup", released);
    return () => {
      stage.removeEventListener("wheel", turned);
      removeEventListener("keyup", released);
    };
  }, [view, element, hands]);
  return {
    onPointerDown: (event) => hands.down(event),
    onPointerMove: (event) => hands.move(event),
    onPointerUp: (event) => hands.up(event),
    onPointerCancel: (event) => hands.lost(event),
    onPointerLeave: () => hands.hover(null),
    onDblClick: (event) => hands.doubled(event),
    onKeyDown: (event) => hands.key(event),
  };
}

/** Fingers, mouse and pen on the stage. */
class Hands {
  isSpaceDown = false;
  #view;
  #pointers = new Map();
  #claimed = null;
  #isSliding = false;
  #splitBefore = 0;

  constructor(view) {
    this.#view = view;
  }

  down(event) {
    if (this.#view.space.value === null || event.button > 1) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.#pointers.size > 1) {
      this.#claimed?.cancel?.();
      this.#claimed = null;
      // A pinch began with a slide: restore the slider.
      if (this.#isSliding) this.#view.split.value = this.#splitBefore;
      this.#isSliding = false;
      return;
    }
    const isPan = event.button === 1 || this.isSpaceDown;
    const claiming = isPan ? undefined : this.#claiming(event);
    this.#claimed = claiming ?? null;
    this.#isSliding =
      claiming === undefined &&
      !isPan &&
      this.#view.space.value.mode === "compare" &&
      this.#view.isFit.value;
    this.#splitBefore = this.#view.split.value;
    if (this.#isSliding) slide(this.#view, event);
    // Otherwise the middle button scrolls the page, and a drag selects pictures.
    if (event.button === 1) event.preventDefault();
  }

  move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) {
      if (event.pointerType !== "touch") this.hover(event);
      return;
    }
    const now = [event.clientX, event.clientY];
    if (this.#pointers.size > 1) this.#pinch(event.pointerId, before, now);
    else if (this.#claimed !== null) this.#claimed.move?.(this.#at(event), event);
    else if (this.#isSliding) slide(this.#view, event);
    else this.#view.pan(now[0] - before[0], now[1] - before[1]);
    this.#pointers.set(event.pointerId, now);
  }

  up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    // The last move event of a quick finger may be missing.
    if (this.#isSliding) slide(this.#view, event);
    this.#claimed?.up?.(this.#at(event), event);
    this.#claimed = null;
    this.#isSliding = false;
  }

  lost(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    this.#claimed?.cancel?.();
    this.#claimed = null;
    this.#isSliding = false;
  }

  hover(event) {
    if (this.#view.space.value === null) return;
    const at = event === null ? null : this.#at(event);
    for (const overlay of this.#view.overlays.value) overlay.hover?.(at, event);
  }

  doubled(event) {
    const view = this.#view;
    if (view.space.value === null || view.overlays.value.some((overlay) => overlay.down)) return;
    const about = [event.clientX, event.clientY];
    if (view.isFit.value) view.magnify(Math.max(1, 2 * view.magnification.value), about);
    else view.fit();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.#view.space.value === null) return;
    const isOnStage = event.target === event.currentTarget;
    if (event.key === " " && isOnStage) {
      this.isSpaceDown = true;
      event.preventDefault();
      return;
    }
    // When nothing can be panned, arrows change the photo; on the slider, they move it.
    if (event.key.startsWith("Arrow") && (this.#view.isFit.value || !isOnStage)) return;
    const act = KEYS[event.key];
    if (act === undefined) return;
    act(this.#view);
    event.preventDefault();
  }

  #claiming(event) {
    const at = this.#at(event);
    return this.#view.overlays.value.findLast((overlay) => overlay.down?.(at, event) === true);
  }

  #at(event) {
    return this.#view.toPhoto(event.clientX, event.clientY);
  }

  #pinch(id, before, now) {
    const other = [...this.#pointers].find(([one]) => one !== id)[1];
    const apart = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
    const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
    this.#view.magnify(this.#view.magnification.value * (apart(now) / apart(before)), middle);
    this.#view.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }
}

function slide(view, event) {
  const { left } = event.currentTarget.getBoundingClientRect();
  const seen = view.visible.value;
  const share = (event.clientX - left - seen.left) / (seen.right - seen.left);
  view.split.value = Math.min(Math.max(share, 0), 1);
}

function wheel(view, event) {
  // Some browsers turn the wheel sideways with Shift.
  const delta = event.deltaY || event.deltaX;
  if (event.shiftKey && view.overlays.value.some((overlay) => overlay.wheel?.(delta))) {
    event.preventDefault();
    return;
  }
  // Where zooming out is impossible, the page scrolls.
  if (view.space.value === null || (view.isFit.value && event.deltaY > 0 && !event.ctrlKey)) return;
  event.preventDefault();
  const px = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * LINE_PX : event.deltaY;
  // A trackpad's pinch reports small deltas.
  const factor = Math.exp(-px * WHEEL_STEP * (event.ctrlKey ? 6 : 1));
  view.magnify(view.magnification.value * factor, [event.clientX, event.clientY]);
}
