/**
 * Rows of cards; only those near the window have elements.
 *
 * So a sheet of thousands of photos takes the memory of a screen of them. Rows are drawn in blocks; a
 * block that is far away keeps its height.
 */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";
import { Card } from "./card.js";

// Drawing a block of this many cards takes up to 50 ms.
const BLOCK_CARDS = 16;
// A block is drawn this far from the window, in heights of the window.
const NEAR = "100%";
// Of a block that was not drawn yet, in pixels.
const USUAL_ROW_PX = 352;

/** entries: of one day. label: of its lists. */
export function Rows({ label, entries }) {
  const [columns, setColumns] = useState(4);
  const first = useRef(null);
  useLayoutEffect(() => {
    const count = () => setColumns(getComputedStyle(first.current).gridTemplateColumns.split(" ").length);
    const observer = new ResizeObserver(count);
    observer.observe(first.current);
    return () => observer.disconnect();
  }, []);
  // Whole rows, so that the next block continues below.
  const size = columns * Math.max(1, Math.round(BLOCK_CARDS / columns));
  const blocks = Array.from({ length: Math.ceil(entries.length / size) }, (_, index) =>
    entries.slice(index * size, (index + 1) * size),
  );
  return blocks.map((members, index) => html`<${Block} key=${index} label=${label} entries=${members}
    rows=${Math.ceil(members.length / columns)} place=${index === 0 ? first : null} />`);
}

function Block({ label, entries, rows, place }) {
  const own = useRef(null);
  const element = place ?? own;
  const [isNear, setNear] = useState(false);
  const height = useRef(0);
  useLayoutEffect(() => {
    const observer = new IntersectionObserver(
      ([{ isIntersecting, boundingClientRect: box, target }]) => {
        if (!isIntersecting && target.childElementCount > 0) height.current = box.height;
        // What has the focus stays.
        setNear(isIntersecting || target.contains(document.activeElement));
      },
      { rootMargin: `${NEAR} 0px` },
    );
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  const style = isNear ? undefined : { height: `${height.current || rows * USUAL_ROW_PX}px` };
  return html`<ul class="sheet" aria-label=${label} ref=${element} style=${style}>
    ${isNear && entries.map((entry) => html`<${Card} key=${entry.id} ...${entry} />`)}
  </ul>`;
}
