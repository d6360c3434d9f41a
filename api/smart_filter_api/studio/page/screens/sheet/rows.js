/**
 * Rows of cards; only those near the window have elements and jobs (state/outlines.js).
 *
 * Rows are drawn in blocks, one per frame; a block that is far away keeps its height.
 */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { reachable } from "../../service/api.js";
import { isPassing } from "../../service/problems.js";
import { outline, readWhole } from "../../state/outlines.js";
import { Card } from "./card.js";
import { selected } from "./selection.js";

// Drawing a block of this many cards takes up to 50 ms on a slow machine.
const BLOCK_CARDS = 8;
// A block is drawn this far from the window, in heights of the window.
const NEAR = "100%";
// Of a block that was not drawn yet, in pixels.
const USUAL_ROW_PX = 352;

/** Functions that draw a block each. */
const due = [];

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
  const isWanted = useRef(false);
  const shown = useRef(entries);
  shown.current = entries;
  const height = useRef(0);
  useLayoutEffect(() => {
    const observer = new IntersectionObserver(
      ([{ isIntersecting, boundingClientRect: box, target }]) => {
        if (!isIntersecting && target.childElementCount > 0) height.current = box.height;
        // What has the focus stays.
        isWanted.current = isIntersecting || target.contains(document.activeElement);
        if (isWanted.current) drawInTurn(() => setNear(isWanted.current));
        else {
          setNear(false);
          outline(shown.current.filter(isSpare).map(({ photo }) => photo));
        }
      },
      { rootMargin: `${NEAR} 0px` },
    );
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  const far = entries.map(({ photo }) => photo).filter((photo) => photo?.isOutline);
  const isHere = reachable.value;
  useEffect(() => {
    if (isNear && isHere && far.length > 0) readWhole(far).catch((error) => isPassing(error) || sayTrouble(error));
  }, [isNear, isHere, far.length]);
  const style = isNear && far.length === 0 ? undefined : { height: `${height.current || rows * USUAL_ROW_PX}px` };
  return html`<ul class="sheet" aria-label=${label} ref=${element} style=${style}>
    ${isNear && entries.map((entry) => html`<${Card} key=${entry.id} ...${entry} />`)}
  </ul>`;
}

/** Return whether the sheet may forget the jobs of an entry; one of a selection lends its recipe. */
function isSpare({ id, photo }) {
  return photo !== undefined && !selected.peek()?.ids.has(id);
}

/** Draw after the blocks before, one per frame: several at once would block the page. */
function drawInTurn(draw) {
  if (due.push(draw) === 1) requestAnimationFrame(drawNext);
}

function drawNext() {
  due[0]();
  due.shift();
  if (due.length > 0) requestAnimationFrame(drawNext);
}
