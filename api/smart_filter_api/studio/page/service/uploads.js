/** Photos on their way to the service, with their progress, which `fetch` does not tell. */

import { noteRefusal, reachable, sessionHeaders } from "./api.js";
import { Away, problemFrom } from "./problems.js";

// A line on which nothing moves for so long leads nowhere.
const STALLED_MS = 60_000;

/**
 * Submit a form as a job; return the job as it was accepted.
 *
 * form: FormData with `photo` and the recipe's fields. idempotencyKey: the same one for each
 * attempt at the same photo, so that a lost answer does not make two jobs. onProgress: called with
 * 0 to 1. signal: an AbortSignal.
 * Throws Problem, Away, or a DOMException called AbortError.
 */
export function submit(form, { idempotencyKey, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
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
    request.open("POST", "/v1/jobs");
    for (const [name, value] of Object.entries(sessionHeaders("POST"))) {
      request.setRequestHeader(name, value);
    }
    request.setRequestHeader("Idempotency-Key", `"${idempotencyKey}"`);
    request.upload.addEventListener("progress", (event) => {
      moved();
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.addEventListener("error", away);
    request.addEventListener("load", () => {
      reachable.value = true;
      const job = request.status < 300 ? parsed(request.responseText) : null;
      if (job !== null) {
        end(resolve, job);
        return;
      }
      const problem = problemFrom(
        request.status,
        request.responseText,
        request.getResponseHeader("Retry-After"),
      );
      noteRefusal(problem);
      end(reject, problem);
    });
    signal?.addEventListener("abort", abort);
    moved();
    request.send(form);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    // Somebody in between, such as the sign-in page of a hotel's network, answered for the service.
    return null;
  }
}
