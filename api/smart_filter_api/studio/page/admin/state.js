/** State of the admin page: the service's current state, history and tenants. */

import { signal } from "@preact/signals";
import { sayTrouble } from "../controls/notices.js";
import { call } from "../service/api.js";
import { Away } from "../service/problems.js";
import { session } from "../state/session.js";

const PATH = "/v1/operator";
const STANDING_MS = 3000;
const PAST_MS = 30_000;

/** `GET /v1/operator/standing`; null before the first answer. */
export const standing = signal(null);
/** `GET /v1/operator/history`; null before the first answer. */
export const past = signal(null);
/** `GET /v1/operator/tenants`; null before the first answer. */
export const tenants = signal(null);
/** Time span of the history: "hour", "day" or "month". */
export const span = signal("hour");
/** The service's current time in ms, from the Date header of its last response. */
export const now = signal(Date.now());

let ahead = 0;

/** Poll while the page is visible; return a function that stops polling. */
export function start() {
  const timers = [];
  const begin = () => {
    stop();
    if (document.hidden) return;
    lookAll();
    timers.push(setInterval(look, STANDING_MS), setInterval(lookBack, PAST_MS));
    timers.push(setInterval(tick, 1000));
  };
  const stop = () => {
    for (const timer of timers.splice(0)) clearInterval(timer);
  };
  begin();
  document.addEventListener("visibilitychange", begin);
  return () => {
    document.removeEventListener("visibilitychange", begin);
    stop();
    standing.value = past.value = tenants.value = null;
  };
}

/** Change the time span of the history. */
export function lookOver(chosen) {
  span.value = chosen;
  lookBack();
}

/** Send a request, then refresh; shows an error as a toast. */
export async function act(method, path) {
  try {
    await call(method, `${PATH}/${path}`);
  } catch (error) {
    sayTrouble(error);
  }
  await look();
}

/** Return the number of jobs of a tenant that can be moved. Throws as `call` does. */
export async function movable(tenant) {
  return (await call("GET", `${PATH}/tenants/${encodeURIComponent(tenant)}`)).json();
}

/**
 * Cancel or redrive all jobs of a tenant, page by page.
 *
 * move: "cancel" or "redrive". onMoved: called with the number moved so far. Throws as `call` does.
 */
export async function moveAll(tenant, move, onMoved) {
  const path = `${PATH}/tenants/${encodeURIComponent(tenant)}/${move}`;
  const done = { moved: 0, left: 0 };
  let cursor = "";
  do {
    const part = await (await call("POST", path + cursor)).json();
    done.moved += part.moved;
    done.left += part.left;
    onMoved(done.moved);
    cursor = part.next_cursor && `?cursor=${part.next_cursor}`;
  } while (cursor);
  lookAll();
  return done;
}

/** Refresh everything now. */
export function lookAll() {
  look();
  lookBack();
}

async function look() {
  standing.value = (await answer("standing")) ?? standing.value;
}

async function lookBack() {
  const asked = span.value;
  const [found, listed] = await Promise.all([answer(`history?span=${asked}`), answer("tenants")]);
  // The user may have chosen another span meanwhile.
  if (span.value === asked) past.value = found ?? past.value;
  tenants.value = listed ?? tenants.value;
}

/** Return a response's JSON; null on an error. */
async function answer(path) {
  try {
    const response = await call("GET", `${PATH}/${path}`);
    const served = Date.parse(response.headers.get("Date"));
    if (!Number.isNaN(served)) ahead = served - Date.now();
    tick();
    return await response.json();
  } catch (error) {
    // The frame already shows that the service is unreachable or that the user is signed out.
    if (!(error instanceof Away) && session.value.state === "in") sayTrouble(error);
    return null;
  }
}

function tick() {
  now.value = Date.now() + ahead;
}
