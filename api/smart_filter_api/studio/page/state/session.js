/** The session. The browser keeps an HttpOnly cookie; the page never stores a key. */

import { signal } from "@preact/signals";
import { ask, call, useSession } from "../service/api.js";
import { Problem } from "../service/problems.js";

const CODE = /^#code=(.+)$/;
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
const others = new BroadcastChannel("smart-filter.session");

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
  await resume(null);
}

/** Sign in with a key. Throws Problem or Away. */
export async function signIn(key) {
  await exchange({ key });
}

/** Sign out here and on the service. */
export async function signOut() {
  await call("DELETE", "/v1/session");
  session.value = { state: "out" };
  others.postMessage(null);
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
