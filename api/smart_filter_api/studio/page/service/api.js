/**
 * Requests to the service, with the session cookie and its CSRF token.
 *
 * `reachable` is false from the first request without an answer until the next answer.
 */

import { signal } from "@preact/signals";
import { Away, problemFrom } from "./problems.js";

const TOKEN = "X-CSRF-Token";
const STALE = "csrf";
let token = "";
let onSignedOut = () => {};
let onStale = async () => true;

export const reachable = signal(true);

/** Note the status of an answer: a proxy answers these for a service that does not run. */
export function noteAnswer(status) {
  if (![502, 503, 504].includes(status)) reachable.value = true;
}

/**
 * Set the session's CSRF token for all requests.
 *
 * whenEnded: called when the service rejects the session. whenStale: called, and awaited, when the
 * cookie belongs to another session, as after a sign-in in another tab; returns a promise of whether
 * it is the same user's.
 */
export function useSession(csrfToken, { whenEnded, whenStale }) {
  token = csrfToken;
  onSignedOut = whenEnded;
  onStale = whenStale;
}

/** Return the headers for a request of this method. */
export function sessionHeaders(method) {
  return method === "GET" ? {} : { [TOKEN]: token };
}

/**
 * Return a function that reports a refused request to the owner of the session.
 *
 * Call it before the request is sent: a refusal must not end a session that replaced this one
 * meanwhile.
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
 * json: body sent as JSON. form: FormData to send instead. headers: further ones. signal: an AbortSignal.
 * Throws Problem, Away, or AbortError.
 */
export async function call(method, path, options = {}) {
  try {
    return await once(method, path, options);
  } catch (error) {
    if (error.code !== STALE) throw error;
    // Do not repeat one user's request in another user's session.
    if (!(await onStale())) throw new DOMException("Another user has signed in.", "AbortError");
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
  noteAnswer(response.status);
  if (response.ok || response.status === 304) return response;
  throw noted(
    problemFrom(
      response.status,
      await response.text().catch(() => ""),
      response.headers.get("Retry-After"),
    ),
  );
}

/** Send a request; return the JSON of its response. Throws as `call` does. */
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

/** Check for a changed session after a problem of a request that `call` did not send. */
export function noteStale(problem) {
  if (problem.code === STALE) onStale();
}
