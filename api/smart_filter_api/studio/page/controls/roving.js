/** A grid of options with one tab stop; arrow keys move within. */

import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";

/**
 * A list box in rows. items: `[{id, label, …}]`, each drawn by the child, a function of the item
 * and `isCurrent`. current: the id of the chosen item. onPick: called with an id.
 */
export function RovingGrid({ label, items, current, onPick, children, ...others }) {
  const element = useRef(null);
  const [reached, reach] = useState(null);
  const isThere = (id) => items.some((item) => item.id === id);
  const stop = [reached, current, items[0]?.id].find(isThere);
  // Scroll the chosen item into view, without scrolling the page.
  useEffect(() => {
    const chosen = element.current.querySelector('[aria-selected="true"]');
    if (chosen === null) return;
    const { top, bottom } = element.current.getBoundingClientRect();
    const at = chosen.getBoundingClientRect();
    if (at.top < top || at.bottom > bottom) element.current.scrollTop += at.top - top;
  }, [current]);
  const move = (event) => {
    const options = [...element.current.children];
    const at = options.indexOf(event.target.closest('[role="option"]'));
    const to = nextOf(event.key, at, options);
    if (at < 0 || to === undefined) return;
    // Also at the ends of the grid, so that the key does not scroll the page.
    event.preventDefault();
    options[to]?.focus();
  };
  return html`<div ref=${element} role="listbox" aria-label=${label} aria-orientation="horizontal"
    onKeyDown=${move} ...${others}>
    ${items.map((item) => {
      const isCurrent = item.id === current;
      return html`<button type="button" role="option" key=${item.id} aria-label=${item.label}
        title=${item.label} aria-selected=${String(isCurrent)}
        tabindex=${item.id === stop ? 0 : -1} onFocus=${() => reach(item.id)}
        onClick=${() => onPick(item.id)}>${children({ ...item, isCurrent })}</button>`;
    })}
  </div>`;
}

function nextOf(key, at, options) {
  const inRow = options.filter((one) => one.offsetTop === options[0].offsetTop).length;
  const moved = {
    ArrowRight: at + 1,
    ArrowLeft: at - 1,
    ArrowDown: at + inRow,
    ArrowUp: at - inRow,
    Home: 0,
    End: options.length - 1,
  };
  return moved[key];
}
