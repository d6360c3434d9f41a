/** Ways to select cards: click, Shift, a lasso, a long press, and the keyboard. */

import { signal, useComputed } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { deleteChosen } from "./deleting.js";
import { narrowed } from "./entries.js";
import {
  chosen,
  extendTo,
  isSelected,
  isSelecting,
  select,
  selectAll,
  selected,
  startSelecting,
  stopSelecting,
  toggle,
} from "./selection.js";

// A pointer that moves less than this is still.
const STILL_PX = 6;
const LONG_PRESS_MS = 500;
// The page scrolls while a lasso is this close to the edge of the window.
const EDGE_PX = 48;
const SCROLL_PX = 14;
/** Elements that use a press themselves, and texts that can be marked. */
const USED_ANYHOW = "a, button, input, dialog, .toolbar, .intake";
const USED = `${USED_ANYHOW}, h2, p, .card`;
const TYPED = "textarea, select, input:not([type=checkbox], [type=radio]), dialog, dialog *";

/** The lasso in pixels of the page, `{left, top, width, height}`, or null. */
const lasso = signal(null);

/** Toggle a card, or extend the selection to it while Shift is held. */
export function choose(id, { shiftKey }) {
  if (shiftKey) extendTo(id, narrowed.peek().map((entry) => entry.id));
  else toggle(id);
}

/** The check box of a card; outside selection mode it appears under the pointer. */
export function Choice({ id, name }) {
  // Only the boxes that change are rendered again.
  const isChosen = useComputed(() => isSelected(id)).value;
  let event = {};
  const changed = ({ currentTarget }) => {
    choose(id, event);
    // A range leaves a chosen card chosen, but the browser has already cleared the box.
    currentTarget.checked = isSelected(id);
  };
  return html`<input type="checkbox" class="choose" checked=${isChosen} aria-label=${`Choose ${name}`}
    tabindex=${isSelecting.value ? undefined : -1} onClick=${(clicked) => (event = clicked)}
    onChange=${changed} />`;
}

/** Listens on the sheet's screen, and draws the lasso. */
export function Choosing() {
  useEffect(() => {
    const place = document.getElementById("main");
    const heard = { pointerdown: pressed, click: clicked, keydown: typed };
    for (const [name, listener] of Object.entries(heard)) place.addEventListener(name, listener);
    addEventListener("keydown", typedAnywhere);
    return () => {
      for (const [name, listener] of Object.entries(heard)) place.removeEventListener(name, listener);
      removeEventListener("keydown", typedAnywhere);
    };
  }, []);
  if (lasso.value === null) return null;
  const style = Object.entries(lasso.value).map(([name, px]) => [name, `${px}px`]);
  return html`<div class="lasso" style=${Object.fromEntries(style)} aria-hidden="true" />`;
}

function clicked(event) {
  const id = idOf(event.target);
  if (id === undefined || event.target.closest("input, dialog")) return;
  if (isSelecting.peek()) choose(id, event);
  else if (event.target.closest(".picture") && (event.ctrlKey || event.metaKey || event.shiftKey)) {
    // Without this, the browser opens the photo in another tab or window.
    event.preventDefault();
    choose(id, event);
  }
}

function pressed(event) {
  if (event.pointerType !== "mouse") pressedLong(event);
  else if (event.button === 0 && !event.target.closest(isSelecting.peek() ? USED_ANYHOW : USED)) {
    drawLasso(event);
  }
}

/** Select a card by a long press. The click after it, and the browser's menu, are suppressed. */
function pressedLong(event) {
  const id = event.target.closest(".frame") && idOf(event.target);
  if (!id || isSelecting.peek()) return;
  const stop = new AbortController();
  const { signal: ended } = stop;
  let isLong = false;
  const timer = setTimeout(() => {
    isLong = true;
    navigator.vibrate?.(10);
    toggle(id);
  }, LONG_PRESS_MS);
  const end = () => {
    clearTimeout(timer);
    // The click follows the end of the press.
    setTimeout(() => stop.abort(), 50);
  };
  const moved = (move) => {
    if (Math.hypot(move.clientX - event.clientX, move.clientY - event.clientY) > 2 * STILL_PX) {
      clearTimeout(timer);
    }
  };
  const suppress = (other) => {
    if (!isLong) return;
    other.preventDefault();
    other.stopPropagation();
  };
  addEventListener("pointerup", end, { signal: ended });
  addEventListener("pointercancel", end, { signal: ended });
  addEventListener("pointermove", moved, { signal: ended });
  addEventListener("click", suppress, { signal: ended, capture: true });
  addEventListener("contextmenu", (menu) => menu.preventDefault(), { signal: ended });
}

/** Select the cards that a rectangle touches; with Ctrl or Shift, in addition to the chosen ones. */
function drawLasso(event) {
  const stop = new AbortController();
  const { signal: ended } = stop;
  const isAdding = event.ctrlKey || event.metaKey || event.shiftKey;
  const before = isAdding && !selected.peek()?.isAll ? [...(selected.peek()?.ids ?? [])] : [];
  const start = { x: event.pageX, y: event.pageY };
  const at = { x: event.clientX, y: event.clientY };
  /** By id, as far as they were drawn: far ones have no elements. */
  let cards = null;
  let frame = 0;
  const draw = () => {
    frame = 0;
    const x = at.x + scrollX;
    const y = at.y + scrollY;
    if (cards === null && Math.hypot(x - start.x, y - start.y) < STILL_PX) return;
    cards ??= new Map();
    for (const card of boxesOfCards()) cards.set(card.id, card);
    const box = { left: Math.min(x, start.x), top: Math.min(y, start.y) };
    lasso.value = { ...box, width: Math.abs(x - start.x), height: Math.abs(y - start.y) };
    const touched = [...cards.values()].filter((card) => touches(card, lasso.peek())).map(({ id }) => id);
    startSelecting();
    select([...before, ...touched]);
  };
  // Pointers report more moves than the screen shows.
  const drawSoon = () => {
    frame ||= requestAnimationFrame(draw);
  };
  const scroller = setInterval(() => {
    const step = at.y < EDGE_PX ? -SCROLL_PX : at.y > innerHeight - EDGE_PX ? SCROLL_PX : 0;
    if (step === 0 || cards === null) return;
    scrollBy(0, step);
    drawSoon();
  }, 16);
  const move = ({ clientX, clientY }) => {
    Object.assign(at, { x: clientX, y: clientY });
    drawSoon();
  };
  const end = () => {
    clearInterval(scroller);
    cancelAnimationFrame(frame);
    draw();
    lasso.value = null;
    // The click that ends the drag must not toggle the card below.
    setTimeout(() => stop.abort(), 0);
  };
  const suppress = (click) => cards !== null && click.stopPropagation();
  addEventListener("pointermove", move, { signal: ended });
  addEventListener("pointerup", end, { signal: ended });
  addEventListener("pointercancel", end, { signal: ended });
  addEventListener("click", suppress, { signal: ended, capture: true });
  // Neither text is marked nor a picture dragged meanwhile.
  for (const name of ["selectstart", "dragstart"]) {
    addEventListener(name, (other) => other.preventDefault(), { signal: ended });
  }
}

/** Keys on a card: arrows move, Space starts the selection. */
function typed(event) {
  const card = event.target.closest(".card");
  if (card === null || event.target.closest(".about") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && !isSelecting.peek()) {
    event.preventDefault();
    toggle(card.dataset.id);
    focusOn(card);
    return;
  }
  const next = neighbor(card, event.key);
  if (next === undefined) return;
  event.preventDefault();
  if (next === null) return;
  if (event.shiftKey) {
    if (!isSelecting.peek()) toggle(card.dataset.id);
    extendTo(next.dataset.id, narrowed.peek().map((entry) => entry.id));
  }
  focusOn(next);
}

/** Keys anywhere: all, none, delete. */
function typedAnywhere(event) {
  if (event.target.closest(TYPED) || document.querySelector("dialog[open]")) return;
  if (event.key === "a" && (event.ctrlKey || event.metaKey) && narrowed.peek().length > 0) {
    event.preventDefault();
    selectAll().catch(sayTrouble);
  }
  if (!isSelecting.peek()) return;
  if (event.key === "Escape") stopSelecting();
  if (event.key === "Delete" && chosen.peek()?.count > 0) deleteChosen(chosen.peek());
}

function focusOn(card) {
  // After the cards have been rendered for the mode.
  requestAnimationFrame(() => card.querySelector(isSelecting.peek() ? ".choose" : ".picture, .choose")?.focus());
}

/** Return the card that an arrow key leads to; null at the edge, undefined for other keys. */
function neighbor(card, key) {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[key];
  if (step === undefined) return undefined;
  const cards = [...document.querySelectorAll("#main .card[data-id]")];
  const index = cards.indexOf(card);
  if (key === "ArrowLeft" || key === "ArrowRight") return cards[index + step] ?? null;
  const { left, top } = card.getBoundingClientRect();
  let best = null;
  let row = null;
  for (let at = index + step; at >= 0 && at < cards.length; at += step) {
    const box = cards[at].getBoundingClientRect();
    if (Math.abs(box.top - top) < 1) continue;
    row ??= box.top;
    if (Math.abs(box.top - row) >= 1) break;
    const distance = Math.abs(box.left - left);
    if (best === null || distance < best.distance) best = { card: cards[at], distance };
  }
  return best?.card ?? null;
}

function idOf(element) {
  return element.closest(".card")?.dataset.id;
}

/** Return the boxes of all cards in pixels of the page. */
function boxesOfCards() {
  return [...document.querySelectorAll("#main .card[data-id]")].map((card) => {
    const { left, top, width, height } = card.getBoundingClientRect();
    return { id: card.dataset.id, left: left + scrollX, top: top + scrollY, width, height };
  });
}

function touches(one, other) {
  return (
    one.left < other.left + other.width &&
    other.left < one.left + one.width &&
    one.top < other.top + other.height &&
    other.top < one.top + one.height
  );
}
