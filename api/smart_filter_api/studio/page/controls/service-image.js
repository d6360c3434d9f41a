/** Images that the service serves. */

import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { reachable } from "../service/api.js";
import { Icon } from "./icon.js";

const FIRST_PAUSE_MS = 1000;
const MOST_PAUSE_MS = 60_000;
const BROKEN = "The picture cannot be shown";
const NONE = { failures: 0, isBroken: false };

/**
 * An `<img>` that is loaded again after a failure, with growing pauses, while the service is reachable.
 *
 * src: address. instead: shown after a failure. Other properties are the image's.
 */
export function ServiceImage({ src, instead = html`<${NoPicture} words=${BROKEN} />`, ...properties }) {
  const [last, setLast] = useState({ src, ...NONE });
  const { failures, isBroken } = last.src === src ? last : NONE;
  const isHere = reachable.value;
  useEffect(() => {
    if (!isBroken) return undefined;
    if (!isHere) {
      // The pauses begin again with the first when the service is back.
      setLast({ src, failures: 1, isBroken });
      return undefined;
    }
    const retry = () => setLast({ src, failures, isBroken: false });
    const timer = setTimeout(retry, Math.min(FIRST_PAUSE_MS * 4 ** (failures - 1), MOST_PAUSE_MS));
    return () => clearTimeout(timer);
  }, [src, failures, isBroken, isHere]);
  if (isBroken) return instead;
  const failed = () => setLast({ src, failures: failures + 1, isBroken: true });
  return html`<img src=${src} ...${properties} onError=${failed} />`;
}

/** Fills the place of a picture. words: why there is none; can be empty. */
export function NoPicture({ words }) {
  return html`<span class="no-picture"><${Icon} name="image" />${words}</span>`;
}

