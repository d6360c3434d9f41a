/** Sign-in screen. */

import { useEffect, useRef, useState } from "preact/hooks";
import { useAttempt } from "../controls/attempt.js";
import { Button } from "../controls/button.js";
import { TextField } from "../controls/fields.js";
import { Trouble } from "../controls/notices.js";
import { html } from "../html.js";
import { begin, otherWays, signIn } from "../state/session.js";

const AGAIN_MS = 3000;
const STUDIO = "Photos of people in, pictures worth posting out.";
const USUAL = "NAME --scopes submit,read,admin";

/**
 * Ask for a key.
 *
 * why: the problem that led here. isAway: the service is unreachable. about: purpose of the page;
 * command: options of the command that makes a suitable key.
 */
export function SignIn({ why, isAway, about = STUDIO, command = USUAL }) {
  const { attempt, isBusy, error } = useAttempt();
  const [provider, setProvider] = useState(null);
  useEffect(() => {
    if (!isAway) otherWays().then((ways) => setProvider(ways.oidc));
  }, [isAway]);
  useEffect(() => {
    if (!isAway) return undefined;
    const timer = setInterval(begin, AGAIN_MS);
    return () => clearInterval(timer);
  }, [isAway]);
  const form = useRef(null);
  useEffect(() => {
    form.current?.elements.key.focus();
  }, [isAway]);
  const submit = (event) => {
    event.preventDefault();
    attempt(() => signIn(new FormData(event.target).get("key").trim()));
  };
  return html`<main class="sign-in"><div class="panel stack">
    <h1 class="brand"><img src="/studio/icon.svg" alt="" />Smart Filter</h1>
    <p class="soft">${about}</p>
    ${isAway
      ? html`<${Trouble} error=${why}><${Button} onClick=${begin}>Try again<//><//>`
      : html`${provider && html`<a class="button primary" href=${`/sign-in/oidc?then=${location.pathname}`}>
          Sign in with ${provider.label}</a>`}
        <form class="stack" ref=${form} onSubmit=${submit}>
          ${why && !error && html`<${Trouble} error=${why} />`}
          ${error && html`<${Trouble} error=${error} />`}
          <${TextField} label="Key" name="key" type="password" required autocomplete="off"
            spellcheck="false" hint="It is exchanged for a session; this page does not keep it." />
          <button class=${provider ? "button" : "button primary"} disabled=${isBusy}>Sign in</button>
        </form>
        <p class="small soft">No key? The operator of this service makes one with
          ${" "}<code>smart-filter keys create --tenant ${command}</code>. The address that <code>smart-filter up</code>
          ${" "}shows signs in once, without a key.</p>`}
  </div></main>`;
}
