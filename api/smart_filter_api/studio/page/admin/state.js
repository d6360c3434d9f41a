/** What the admin page knows: how the service stands, how it was, and whose jobs there were. */

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
/** How far back is looked: "hour", "day" or "month". */
export const span = signal("hour");
/** What the service's clock shows now (ms), by its last answer. */
export const now = signal(Date.now());

let ahead = 0;

/** Ask again and again while the page is seen; returns a function that stops that. */
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

/** Look further back, or less far. */
export function lookOver(chosen) {
  span.value = chosen;
  lookBack();
}

/** Do something, then look what came of it; says what went wrong. */
export async function act(method, path) {
  try {
    await call(method, `${PATH}/${path}`);
  } catch (error) {
    sayTrouble(error);
  }
  await look();
}

/** Return how many jobs of a tenant could be moved. Throws as `call` does. */
export async function movable(tenant) {
  return (await call("GET", `${PATH}/tenants/${encodeURIComponent(tenant)}`)).json();
}

/**
 * Cancel or redrive all jobs of a tenant, part by part.
 *
 * move: "cancel" or "redrive". onMoved: told how many have been, so far. Throws as `call` does.
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

/** Look at everything now. */
export function lookAll() {
  look();
  lookBack();
}

async function look() {
  standing.value = (await answer("standing")) ?? standing.value;
}

async function lookBack() {
  const asked = span.value;
  const [found, whose] = await Promise.all([answer(`history?span=${asked}`), answer("tenants")]);
  // Somebody may have chosen another span meanwhile.
  if (span.value === asked) past.value = found ?? past.value;
  tenants.value = whose ?? tenants.value;
}

/** Return an answer, or null when there is none now. */
async function answer(path) {
  try {
    const response = await call("GET", `${PATH}/${path}`);
    const told = Date.parse(response.headers.get("Date"));
    if (!Number.isNaN(told)) ahead = told - Date.now();
    tick();
    return await response.json();
  } catch (error) {
    // The frame tells when nobody answers, and who is signed out sees that.
    if (!(error instanceof Away) && session.value.state === "in") sayTrouble(error);
    return null;
  }
}

function tick() {
  now.value = Date.now() + ahead;
}
