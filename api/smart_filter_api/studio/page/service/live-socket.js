/** A connection to a live worker (docs/live.md): sends frames and backgrounds, receives results. */

import { ask } from "./api.js";
import { Problem } from "./problems.js";

const NUMBER_BYTES = 4;
const SUBPROTOCOL = "smart-filter-live";

/**
 * Connect; return `{send, change, close}`.
 *
 * background: the initial `{spec, picture}`. handlers: `onReady()`, `onFrame(fields, jpeg)`,
 * `onShutter(fields)`, `onBackground(fields)`, `onError(fields)`, and `onEnd(end)` once, with `{code,
 * reason, address}` of a connection that ended, or `{error}` of one that was never opened.
 */
export function connect(background, handlers) {
  const stop = new AbortController();
  let socket = null;
  /** Fields of the frame whose picture is the next binary message. */
  let fields = null;
  let hasEnded = false;
  /** Timer of the tokens that extend the connection. */
  let renewing = 0;
  const end = (why) => {
    if (hasEnded) return;
    hasEnded = true;
    clearInterval(renewing);
    handlers.onEnd(why);
  };
  const answers = {
    ready: ({ limits }) => {
      renewing = setInterval(renew, limits.token_seconds * 1000);
      handlers.onReady();
      if (background.picture) change(background);
    },
    frame: (message) => {
      fields = message;
    },
    shutter: handlers.onShutter,
    background: handlers.onBackground,
    error: handlers.onError,
  };
  const listen = ({ data }) => {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      answers[message.type]?.(message);
    } else {
      handlers.onFrame(fields, new Blob([new Uint8Array(data, NUMBER_BYTES)], { type: "image/jpeg" }));
    }
  };
  const begin = async () => {
    const { url, token } = await ask("POST", "/v1/live", { json: {}, signal: stop.signal });
    socket = opened(url, token);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () =>
      socket.send(JSON.stringify({ background: background.spec })),
    );
    socket.addEventListener("message", listen);
    socket.addEventListener("close", ({ code, reason }) =>
      end({ code, reason, address: new URL(url).origin }),
    );
  };
  const renew = () =>
    ask("POST", "/v1/live", { json: {}, signal: stop.signal })
      .then(({ token }) => isOpen() && socket.send(JSON.stringify({ token })))
      // The next one may succeed; without any the worker ends the connection.
      .catch(() => {});
  const isOpen = () => socket?.readyState === WebSocket.OPEN;
  function change({ spec, picture }) {
    if (!isOpen()) return;
    socket.send(JSON.stringify(picture ? { background_file: true } : { background: spec }));
    if (picture) socket.send(picture);
  }
  begin().catch((error) => end({ error }));
  return {
    /** Send a frame. */
    send(number, jpeg) {
      if (!isOpen()) return;
      const header = new DataView(new ArrayBuffer(NUMBER_BYTES));
      header.setUint32(0, number);
      socket.send(new Blob([header, jpeg]));
    },
    /** Change the background. */
    change,
    /** Close the connection; no callback is called any more. */
    close() {
      hasEnded = true;
      clearInterval(renewing);
      stop.abort();
      socket?.removeEventListener("message", listen);
      socket?.close();
    },
  };
}

function opened(url, token) {
  try {
    return new WebSocket(url, [SUBPROTOCOL, token]);
  } catch {
    // Browsers block unencrypted connections from an https page.
    throw new Problem({
      status: 0,
      code: "insecure",
      title: "Live video is not encrypted",
      detail: "This page uses https, but its live video has an unencrypted address.",
      remedy: "The operator of the service can set SMART_FILTER_LIVE_URL to an address with wss://.",
    });
  }
}
