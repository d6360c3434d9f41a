/** Uploads with progress, which `fetch` does not report. */

import { noteAnswer, noteStale, reachable, refusals, sessionHeaders } from "./api.js";
import { Away, problemFrom } from "./problems.js";

// A connection without progress for this long counts as broken.
const STALLED_MS = 60_000;

/**
 * Submit a form as a job; return the job as it was accepted.
 *
 * form: FormData with `photo` and the recipe's fields. idempotencyKey: the same one for every attempt
 * at the same photo, so that a lost response does not create two jobs. onProgress: called with 0 to 1.
 * signal: an AbortSignal.
 * Throws Problem, Away, or a DOMException named AbortError.
 */
export function submit(form, { idempotencyKey, ...watching }) {
  const headers = { "Idempotency-Key": `"${idempotencyKey}"` };
  return send("POST", "/v1/jobs", form, { headers, read: parsed, ...watching });
}

/** Put a photo into an upload of `POST /v1/uploads`. Takes and throws what `submit` does. */
export async function put(uploadId, file, watching) {
  await send("PUT", `/v1/uploads/${uploadId}`, file, { headers: {}, read: () => true, ...watching });
}

/** read: parses the response's text; returns null if it is not the service's. */
function send(method, path, body, { headers, read, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const noted = refusals();
    let stalled = 0;
    const end = (settle, value) => {
      clearTimeout(stalled);
      signal?.removeEventListener("abort", abort);
      settle(value);
    };
    const abort = () => {
      request.abort();
      end(reject, new DOMException("The upload was stopped.", "AbortError"));
    };
    const away = () => {
      reachable.value = false;
      end(reject, new Away());
    };
    const moved = () => {
      clearTimeout(stalled);
      stalled = setTimeout(() => {
        request.abort();
        away();
      }, STALLED_MS);
    };
    request.open(method, path);
    for (const [name, value] of Object.entries({ ...sessionHeaders(method), ...headers })) {
      request.setRequestHeader(name, value);
    }
    request.upload.addEventListener("progress", (event) => {
      moved();
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.addEventListener("error", away);
    request.addEventListener("load", () => {
      noteAnswer(request.status);
      const answer = request.status < 300 ? read(request.responseText) : null;
      if (answer !== null) {
        end(resolve, answer);
        return;
      }
      const problem = problemFrom(
        request.status,
        request.responseText,
        request.getResponseHeader("Retry-After"),
      );
      noteStale(problem);
      end(reject, noted(problem));
    });
    signal?.addEventListener("abort", abort);
    moved();
    request.send(body);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    // A captive portal or another proxy answered for the service.
    return null;
  }
}
