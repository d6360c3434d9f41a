/** The session. The browser keeps an HttpOnly cookie; the page never stores a key. */

import { signal } from "@preact/signals";
import { ask, call, useSession } from "../service/api.js";
import { Problem } from "../service/problems.js";
import { openChannel } from "../service/stored.js";

const CODE = /^#code=(.+)$/;
const FAILED = /^#sign-in-failed=([a-z_]+)$/;
const TRY_AGAIN = "Try again, or sign in with a key.";
const FAILURES = {
  provider_away: {
    title: "The sign-in service cannot be reached",
    detail: "It did not answer, or its answer could not be read.",
    remedy: "Try again in a few minutes, or sign in with a key.",
  },
  stale: {
    title: "This sign-in is no longer valid",
    detail: "It took longer than ten minutes, or was started in another tab.",
    remedy: TRY_AGAIN,
  },
  denied: {
    title: "The sign-in was canceled",
    detail: "The sign-in service did not confirm who you are.",
    remedy: TRY_AGAIN,
  },
  invalid: {
    title: "The sign-in could not be verified",
    detail: "The answer of the sign-in service is not valid for this service.",
    remedy: "Try again. If it fails again, tell the operator of this service.",
  },
  no_group: {
    title: "Your account has no access",
    detail: "None of your groups may use this service.",
    remedy: "Ask the operator of this service to give one of your groups access.",
  },
};
const WRONG_KEY = {
  title: "This key is not valid",
  detail: "It is unknown, has expired or was revoked.",
  remedy: "Check that you copied the whole key, or ask the operator of the service for another one.",
};
const SPENT_CODE = {
  title: "This sign-in address is not valid any more",
  detail: "Each address works once, within ten minutes.",
  remedy: "Sign in with a key.",
};
/** All tabs share the cookie: they tell each other when it changes or is removed. */
const others = openChannel("smart-filter.session");

/** `{state: "starting"|"out"|"in"|"away", tenant?, scopes?, why?: a problem or words}`. */
export const session = signal({ state: "starting" });

// An address with a code may be opened in an existing tab of the studio.
addEventListener("hashchange", () => {
  if (CODE.test(location.hash)) begin();
});

others.addEventListener("message", () => {
  resume({ title: "You have signed out in another tab. Sign in again." });
});

/** Sign in with the code in the address, which is removed at once, else continue with the cookie. */
export async function begin() {
  const code = CODE.exec(location.hash)?.[1];
  if (code !== undefined) {
    history.replaceState(null, "", `${location.pathname}#/`);
    try {
      await exchange({ code: decodeURIComponent(code) });
      return;
    } catch (error) {
      // The code was used before; its session may still be valid.
      await resume(error);
      return;
    }
  }
  const failed = FAILED.exec(location.hash)?.[1];
  if (failed !== undefined) history.replaceState(null, "", `${location.pathname}#/`);
  await resume(Object.hasOwn(FAILURES, failed ?? "") ? FAILURES[failed] : null);
}

/** Return the ways to sign in besides keys, `{oidc: null | {label}}`. */
export async function otherWays() {
  try {
    return await ask("GET", "/sign-in");
  } catch {
    return { oidc: null };
  }
}

/** Sign in with a key. Throws Problem or Away. */
export async function signIn(key) {
  await exchange({ key });
}

/** Sign out here and on the service. */
export async function signOut() {
  const ended = await call("DELETE", "/v1/session");
  session.value = { state: "out" };
  others.postMessage(null);
  // The sign-in service's own session ends there.
  const next = ended.headers.get("Location");
  if (next) location.assign(next);
}

/** Exchange a code or a key for a session, which replaces any other in this browser. */
async function exchange(proof) {
  try {
    enter(await ask("POST", "/v1/session", { json: proof }));
  } catch (error) {
    // The service's message is for programs, which send keys in a header.
    if (error.code === "unauthorized") Object.assign(error, "key" in proof ? WRONG_KEY : SPENT_CODE);
    throw error;
  }
  others.postMessage(null);
}

async function resume(why) {
  try {
    enter(await ask("GET", "/v1/session"));
  } catch (error) {
    const isOut = error instanceof Problem;
    session.value = isOut ? { state: "out", why } : { state: "away", why: error };
  }
}

function enter(opened) {
  useSession(opened.csrf_token, {
    whenEnded: () => {
      if (session.value.state === "in") {
        session.value = { state: "out", why: { title: "Your session has ended. Sign in again." } };
      }
    },
    whenStale: async () => {
      await resume({ title: "You have signed out. Sign in again." });
      return session.value.tenant === opened.tenant;
    },
  });
  session.value = { state: "in", tenant: opened.tenant, scopes: opened.scopes };
}
