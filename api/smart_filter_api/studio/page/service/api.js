/**
 * Requests to the service, with the session's cookie and its token against forgery.
 *
 * `reachable` is false from the first request that met nobody until one is answered again.
 */

import { signal } from "@preact/signals";
import { Away, problemFrom } from "./problems.js";

const TOKEN = "X-CSRF-Token";
const STALE = "csrf";
let token = "";
let onSignedOut = () => {};
let onStale = async () => true;

export const reachable = signal(true);

/**
 * Let requests carry a session's token.
 *
 * whenEnded: called when the service knows it no more. whenStale: called, and waited for, when the
 * session is another one by now, as after a signing in in another tab; returns a promise of whether
 * it is the same person's.
 */
export function useSession(csrfToken, { whenEnded, whenStale }) {
  token = csrfToken;
  onSignedOut = whenEnded;
  onStale = whenStale;
}

/** Return the headers that a request of this method carries. */
export function sessionHeaders(method) {
  return method === "GET" ? {} : { [TOKEN]: token };
}

/**
 * Return a function that tells whoever holds the session that a request was refused.
 *
 * To be asked for before the request is sent: a refusal of a session that another has taken the
 * place of meanwhile says nothing of that one.
 */
export function refusals() {
  const asked = token;
  return (problem) => {
    if (problem.status === 401 && token === asked) onSignedOut();
    return problem;
  };
}

/**
 * Send a request; return the Response, whose status is below 400.
 *
 * json: what to send as JSON. form: FormData to send instead. headers: further ones. signal: an AbortSignal.
 * Throws Problem, Away, or AbortError.
 */
export async function call(method, path, options = {}) {
  try {
    return await once(method, path, options);
  } catch (error) {
    if (error.code !== STALE) throw error;
    // What one person asked for is not done in the name of another.
    if (!(await onStale())) throw new DOMException("Somebody else has signed in.", "AbortError");
    return once(method, path, options);
  }
}

async function once(method, path, { json, form, headers, signal: aborted }) {
  const noted = refusals();
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        ...sessionHeaders(method),
        ...(json === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: json === undefined ? form : JSON.stringify(json),
      signal: aborted,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reachable.value = false;
    throw new Away();
  }
  reachable.value = true;
  if (response.ok || response.status === 304) return response;
  throw noted(
    problemFrom(
      response.status,
      await response.text().catch(() => ""),
      response.headers.get("Retry-After"),
    ),
  );
}

/** Send a request; return the JSON of its answer. Throws as `call` does. */
export async function ask(method, path, options) {
  const response = await call(method, path, options);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Away();
  }
}

/** Return an output's bytes as a Blob. Throws as `call` does. */
export async function fetchBlob(path, options) {
  const response = await call("GET", path, options);
  try {
    return await response.blob();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Away();
  }
}

/** Look whether the session is another one by now, when a request that `call` did not send says so. */
export function noteStale(problem) {
  if (problem.code === STALE) onStale();
}
