/** Photos on their way to the service, with their progress, which `fetch` does not tell. */

import { noteEnd, reachable, sessionHeaders } from "./api.js";
import { Away, problemFrom } from "./problems.js";

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
    const end = (settle, value) => {
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
    request.open("POST", "/v1/jobs");
    for (const [name, value] of Object.entries(sessionHeaders("POST"))) {
      request.setRequestHeader(name, value);
    }
    request.setRequestHeader("Idempotency-Key", `"${idempotencyKey}"`);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.addEventListener("error", away);
    request.addEventListener("timeout", away);
    request.addEventListener("load", () => {
      reachable.value = true;
      if (request.status < 300) {
        end(resolve, JSON.parse(request.responseText));
        return;
      }
      const problem = problemFrom(
        request.status,
        request.responseText,
        request.getResponseHeader("Retry-After"),
      );
      noteEnd(problem);
      end(reject, problem);
    });
    signal?.addEventListener("abort", abort);
    request.send(form);
  });
}
