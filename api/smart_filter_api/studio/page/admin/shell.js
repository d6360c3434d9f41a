/** Frame of the admin page; shows the sign-in to users without the operator scope. */

import { useEffect } from "preact/hooks";
import { Button } from "../controls/button.js";
import { Icon } from "../controls/icon.js";
import { Toasts, sayTrouble } from "../controls/notices.js";
import { Theme } from "../controls/theme.js";
import { html } from "../html.js";
import { Sessions } from "../screens/sessions.js";
import { SignIn } from "../screens/sign-in.js";
import { reachable } from "../service/api.js";
import { session, signOut } from "../state/session.js";
import { Past } from "./past.js";
import { Queues } from "./queues.js";
import { standing, start } from "./state.js";
import { Tenants } from "./tenants.js";
import { Verdict } from "./verdict.js";
import { Workers } from "./workers.js";

const SCOPE = "operator";
const COMMAND = "local --scopes operator";

/** The whole page. */
export function Shell() {
  const { state, why, scopes, tenant } = session.value;
  if (state === "starting") return null;
  if (state === "in" && scopes.includes(SCOPE)) return html`<${Frame} key=${tenant} />`;
  const lacking = state === "in" && {
    title: "This page is for the service's operator",
    detail: `You are signed in as ${tenant}, with a key without the operator scope.`,
    remedy: "Sign in with an operator's key, or go back to the studio.",
  };
  return html`<${SignIn} why=${lacking || why} isAway=${state === "away"}
    about="State of the service, for its operator." command=${COMMAND} />`;
}

function Frame() {
  useEffect(start, []);
  const isKnown = standing.value !== null;
  return html`<div class="shell">
    <div>
      <a class="skip button unseen" href="#main" onClick=${skip}>Skip to the state of the service</a>
      <header class="topbar">
        <a class="brand" href="/admin"><img src="/studio/icon.svg" alt="" />Smart Filter</a>
        <nav class="places" aria-label="Places">
          <a href="/"><${Icon} name="sheet" />Studio</a>
          <a href="/admin" aria-current="page"><${Icon} name="sliders" />Operating</a>
        </nav>
        <span class="spacer" />
        <${Theme} />
        <${Sessions} />
        <${Button} kind="quiet" icon="signOut" label="Sign out"
          onClick=${() => signOut().catch(sayTrouble)} />
      </header>
      ${!reachable.value && html`<p class="offline" role="status">
        <${Icon} name="alert" />The service cannot be reached. The page shows its last known state
        and continues when it is back.</p>`}
    </div>
    <main class="screen operating" id="main" tabindex="-1">
      ${isKnown && html`<${Verdict} /><${Queues} /><${Workers} /><${Past} /><${Tenants} />`}
    </main>
    <${Toasts} />
  </div>`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}
