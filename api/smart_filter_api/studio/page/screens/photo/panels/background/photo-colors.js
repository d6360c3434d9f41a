/** Main colors of a photo. */

import { fetchBlob } from "../../../../service/api.js";

const SIDE = 64;
const MOST = 8;
// Boxes per edge of the RGB cube in which colors are counted.
const BOXES = 8;
// Minimum distance in RGB, 0 to 255 per channel, of two swatches.
const APART = 48;

const known = new Map();

/** Return the main colors of the photo at an address, most frequent first, as #rrggbb. */
export function colorsOf(address) {
  if (!known.has(address)) {
    const found = read(address);
    found.catch(() => known.delete(address));
    known.set(address, found);
  }
  return known.get(address);
}

async function read(address) {
  const options = { resizeWidth: SIDE, resizeHeight: SIDE, resizeQuality: "medium" };
  const picture = await createImageBitmap(await fetchBlob(address), options);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [SIDE, SIDE];
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  picture.close();
  return apart(counted(context.getImageData(0, 0, SIDE, SIDE).data)).map(hex);
}

/** Return the mean color of each non-empty box, the fullest first. */
function counted(rgba) {
  const boxes = new Map();
  for (let at = 0; at < rgba.length; at += 4) {
    const color = [rgba[at], rgba[at + 1], rgba[at + 2]];
    const key = color.map((value) => Math.floor((value * BOXES) / 256)).join();
    const box = boxes.get(key) ?? { count: 0, sum: [0, 0, 0] };
    box.count += 1;
    box.sum = box.sum.map((value, index) => value + color[index]);
    boxes.set(key, box);
  }
  return [...boxes.values()]
    .sort((one, other) => other.count - one.count)
    .map(({ count, sum }) => sum.map((value) => value / count));
}

function apart(colors) {
  const taken = [];
  for (const color of colors) {
    if (taken.length === MOST) break;
    if (taken.every((other) => distance(color, other) >= APART)) taken.push(color);
  }
  return taken;
}

function distance(one, other) {
  return Math.hypot(...one.map((value, index) => value - other[index]));
}

function hex(color) {
  return `#${color.map((value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;
}
