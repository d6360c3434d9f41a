/** Icons: one stroke, 24 × 24, drawn for this page. Each has text next to it, or a label. */

import { html } from "../html.js";

const SHAPES = {
  add: "M12 5v14M5 12h14",
  album: "M4 7h13v12H4zM8 7V4h12v12h-3",
  alert: "M12 4 2.8 19.5h18.400zM12 10v4.500M12 17.200v.1",
  arrowLeft: "M19 12H5M11 6l-6 6 6 6",
  arrowRight: "M5 12h14M13 6l6 6-6 6",
  brush: "M20 4c-4 1.500-9 6-10.500 9l2 2C14.500 13.500 19 8.500 20.500 4.500zM9 14c-2.500 0-3.500 1.500-3.800 3.200-.2 1.300-.7 1.800-1.700 2.300 1 .6 6.500 1 7.500-3z",
  camera: "M4 8h3.500L9 5.500h6L16.500 8H20v11H4zM12 16.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7z",
  check: "M5 12.500 10 17.500 19.500 7",
  clear: "M5 7h14M10 7V4.500h4V7M7 7l.8 12.500h8.400L17 7M10.500 11v5M13.500 11v5",
  close: "M6 6l12 12M18 6 6 18",
  code: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  compare: "M12 4v16M4 6h5v12H4M20 6h-5v12h5",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  drop: "M12 4c3.200 4 5.500 6.600 5.500 9.600a5.500 5.500 0 0 1-11 0C6.500 10.600 8.800 8 12 4z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  face: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9 10v.5M15 10v.5M8.500 14.500c2 2.300 5 2.300 7 0",
  full: "M9 4H4v5M15 4h5v5M9 20H4v-5M15 20h5v-5",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9.500v.1",
  live: "M3 7h12v10H3zM15 11l6-3.500v9L15 13",
  menu: "M5 12h.1M12 12h.1M19 12h.1",
  minus: "M5 12h14",
  moon: "M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10z",
  people: "M9 11.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c.3-3.700 2.800-6 6.500-6s6.200 2.300 6.500 6M16 4.800a3.500 3.500 0 0 1 0 6.400M17.500 14.300c2.400.8 3.800 2.800 4 5.700",
  print: "M7 9V4h10v5M7 17H4V9h16v8h-3M7 14h10v6H7z",
  redo: "M15 7l4 4-4 4M19 11H9.500a5 5 0 0 0 0 10H12",
  refresh: "M19.500 12a7.500 7.500 0 1 1-2.200-5.300L19.500 9M19.500 4v5h-5",
  share: "M12 15V4M8 7.500 12 3.500l4 4M6.500 11H5v9.500h14V11h-1.500",
  sheet: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  signOut: "M14 5H5v14h9M10 12h10M16.500 8l4 4-4 4",
  sliders: "M4 8h9M17 8h3M15 5.500v5M4 16h3M11 16h9M9 13.500v5",
  star: "M12 4l2.400 5 5.600.7-4.100 3.800 1.100 5.500-5-2.700-5 2.700 1.100-5.500L4 9.700 9.600 9z",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2.500v2.200M12 19.300v2.200M2.500 12h2.200M19.300 12h2.200M5.300 5.300l1.500 1.500M17.200 17.200l1.500 1.500M18.700 5.300l-1.500 1.500M6.800 17.200l-1.500 1.500",
  swatch: "M4 4h7v12.500a3.500 3.500 0 0 1-7 0zM11 8.500l4-4 5 5L9.500 19.500M13.500 20H20v-7h-3",
  tag: "M4 4h8l8 8-8 8-8-8zM8.500 8.500v.1",
  transparent: "M4 4h16v16H4zM4 12h16M12 4v16M6 10l4-4M14 18l4-4",
  undo: "M9 7l-4 4 4 4M5 11h9.500a5 5 0 0 1 0 10H12",
  upload: "M12 16V5M7 9l5-5 5 5M5 20h14",
  wand: "M5 19 15 9M14 4v3M12.500 5.500h3M19 9v3M17.500 10.500h3M18.500 3.500v2M17.500 4.500h2",
  zoom: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM15.500 15.500 20.500 20.500",
};

/** An icon. label: the text for screen readers where no text is next to it. */
export function Icon({ name, label }) {
  return html`<svg class="icon-shape" viewBox="0 0 24 24" role=${label ? "img" : undefined}
    aria-label=${label} aria-hidden=${label ? undefined : "true"}><path d=${SHAPES[name]} /></svg>`;
}
