/** Images that the service serves. */

import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { reachable } from "../service/api.js";

const FIRST_PAUSE_MS = 1000;
const MOST_RETRIES = 4;
const NONE = { failures: 0, isBroken: false };

/**
 * An `<img>` that is loaded again after a failure, with growing pauses, while the service is reachable.
 *
 * src: address. instead: shown after a failure; nothing by default. Other properties are the image's.
 */
export function ServiceImage({ src, instead = null, ...properties }) {
  const [last, setLast] = useState({ src, ...NONE });
  const { failures, isBroken } = last.src === src ? last : NONE;
  const mayRetry = isBroken && failures <= MOST_RETRIES && reachable.value;
  useEffect(() => {
    if (!mayRetry) return undefined;
    const retry = () => setLast({ src, failures, isBroken: false });
    const timer = setTimeout(retry, FIRST_PAUSE_MS * 4 ** (failures - 1));
    return () => clearTimeout(timer);
  }, [src, mayRetry]);
  if (isBroken) return instead;
  const failed = () => setLast({ src, failures: failures + 1, isBroken: true });
  return html`<img src=${src} ...${properties} onError=${failed} />`;
}
