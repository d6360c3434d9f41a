/** The picture's layers, registered to the pixel, with overlays on top. */

import { useEffect, useState } from "preact/hooks";
import { html } from "../../../html.js";
import { picture } from "./pictures.js";

const SAID = {
  image: "The finished picture",
  matte: "The matte: people are white",
  cutout: "The people, cut out",
};

/** shown: the result of `useShown`, drawn through the view. */
export function Layers({ view, shown }) {
  const { job, space, pictures } = shown;
  const { frame, mode } = space;
  const { x, y, zoom } = view.transform.value;
  const line = mode === "compare" ? lineOf(view) : 0;
  const plane = {
    width: `${frame.width}px`,
    height: `${frame.height}px`,
    transform: `translate(${x}px, ${y}px) scale(${zoom})`,
    imageRendering: view.showsPixels.value ? "pixelated" : "auto",
  };
  const made = mode === "compare" ? "image" : mode;
  return html`
    <${Ground} view=${view} shown=${shown} from=${line} />
    <div class="plane" style=${plane}>
      ${mode !== "photo" && html`<div class="layer" style=${{ clipPath: `inset(0 0 0 ${line}px)` }}>
        <img src=${pictures[made].address} alt=${SAID[made]} decoding="sync" draggable=${false} />
      </div>`}
      ${pictures.photo && html`<div class="layer" style=${photoClip(mode, frame, line)}>
        <${Photo} view=${view} job=${job} space=${space} preview=${pictures.photo} />
      </div>`}
      <div class=${`layer ${mode === "photo" ? "" : "clipped"}`}>
        <div class="over" style=${placeOf(space)}>
          ${view.overlays.value.map(({ Layer }, index) =>
            Layer && html`<${Layer} key=${index} view=${view} job=${job} />`)}
        </div>
      </div>
    </div>`;
}

/** The photo; above the preview's resolution, the original file. */
function Photo({ view, job, space, preview }) {
  // Screen pixels per pixel of the preview.
  const stretched = (view.scale.value * view.stage.value.dots * space.photo.width) / preview.width;
  const wantsMore = preview.width < space.photo.width && stretched > 1.05;
  const original = useOriginal(job, wantsMore);
  const box = { ...placeOf(space), position: "absolute" };
  if (original === null) {
    return html`<img style=${box} src=${preview.address} alt="The photo" decoding="sync"
      draggable=${false} />`;
  }
  return html`<div style=${box}><img style=${turned(job.photo, space)} src=${original.address}
    alt="The photo" draggable=${false} /></div>`;
}

/** Return the original photo if the browser can show it, else null. */
function useOriginal(job, isWanted) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    if (!isWanted || found !== null) return;
    const { width, height, quarter_turns: turns } = job.photo;
    const lies = turns % 2 === 1 ? [height, width] : [width, height];
    picture(`${job.links.photo}?original=1`).then(
      (one) => {
        // A browser that ignores the EXIF orientation would show it rotated.
        if (one.width === lies[0] && one.height === lies[1]) setFound(one);
      },
      () => {
        // The preview stays: many browsers do not show HEIC.
      },
    );
  }, [job.id, isWanted]);
  return found;
}

/** Return the style that turns the original photo upright: counterclockwise by quarter turns. */
function turned({ quarter_turns: turns }, { photo, frame }) {
  const width = photo.width * frame.scale;
  const height = photo.height * frame.scale;
  const [across, down] = turns % 2 === 1 ? [height, width] : [width, height];
  const move = [`0, 0`, `0, ${height}px`, `${width}px, ${height}px`, `${width}px, 0`][turns];
  return {
    width: `${across}px`,
    height: `${down}px`,
    transform: `translate(${move}) rotate(${-90 * turns}deg)`,
    transformOrigin: "0 0",
  };
}

/** Background of transparent areas; its pattern has the same size on the screen at any zoom. */
function Ground({ view, shown: { job, space }, from }) {
  const { mode } = space;
  const isCutout = mode === "cutout";
  const isSeenThrough = ["compare", "image"].includes(mode) && job.recipe.background === "transparent";
  if (!isCutout && !isSeenThrough) return null;
  const { x, y, zoom } = view.transform.value;
  const place = {
    left: `${x}px`,
    top: `${y}px`,
    width: `${space.frame.width * zoom}px`,
    height: `${space.frame.height * zoom}px`,
    clipPath: `inset(0 0 0 ${from * zoom}px)`,
  };
  const ground = isCutout ? view.ground.value : "checkerboard";
  return html`<div class=${`ground ${ground}`} style=${place} />`;
}

/** Return the position of the slider's line, in frame pixels. */
function lineOf(view) {
  const { x, zoom } = view.transform.value;
  return (slideX(view) - x) / zoom;
}

/** Return the position of the slider's line in stage pixels, aligned to device pixels. */
export function slideX(view) {
  const { left, right } = view.visible.value;
  const { dots } = view.stage.value;
  return Math.round((left + view.split.value * (right - left)) * dots) / dots;
}

function photoClip(mode, frame, line) {
  return mode === "compare" ? { clipPath: `inset(0 ${frame.width - line}px 0 0)` } : {};
}

function placeOf({ photo, frame }) {
  return {
    left: `${frame.left}px`,
    top: `${frame.top}px`,
    width: `${photo.width * frame.scale}px`,
    height: `${photo.height * frame.scale}px`,
  };
}
