/** Frame of every screen: brand, navigation, theme, and the state of the connection. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button } from "./controls/button.js";
import { Dialog } from "./controls/dialog.js";
import { Icon } from "./controls/icon.js";
import { Toasts, say, sayTrouble } from "./controls/notices.js";
import { Theme } from "./controls/theme.js";
import { html } from "./html.js";
import { place } from "./router.js";
import { screens } from "./screens/all.js";
import { BulkBar } from "./screens/bulk-bar.js";
import { Sessions } from "./screens/sessions.js";
import { SignIn } from "./screens/sign-in.js";
import { reachable } from "./service/api.js";
import { startHeartbeat } from "./service/heartbeat.js";
import { albumDrafts, giveUp, startSendingAlbums } from "./state/album-drafts.js";
import { forgetAlbums } from "./state/albums.js";
import { dismissBulk } from "./state/bulk.js";
// It removes painted strokes at sign-out, whether or not a photo has been opened.
import "./state/corrections.js";
import { startFollowing } from "./state/following.js";
import { forgetAll, isLoaded, loadOlder } from "./state/jobs.js";
import { forgetOutlines } from "./state/outlines.js";
import { drop, pending, startSending } from "./state/pending.js";
import { session, signOut } from "./state/session.js";
import { loadPicture } from "./state/wanted.js";
import { counted } from "./words.js";

/** The whole page. */
export function Shell() {
  const { state, why, tenant } = session.value;
  const former = useRef(null);
  useEffect(() => {
    const isAnother = state === "in" && former.current !== null && former.current !== tenant;
    former.current = state === "in" ? tenant : null;
    if (isAnother) say(`You are now signed in as ${tenant}.`);
    if (state !== "in") return undefined;
    loadPicture(tenant);
    const ends = [
      ...[startSending(tenant), startSendingAlbums(tenant), startFollowing()],
      ...[forgetAll, forgetOutlines, forgetAlbums, dismissBulk],
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [state, tenant]);
  if (state === "starting") return null;
  if (state !== "in") return html`<${SignIn} why=${why} isAway=${state === "away"} />`;
  return html`<${Frame} key=${tenant} />`;
}

function Frame() {
  const [word, ...rest] = place.value;
  const screen = screens.find((one) => one.word === word) ?? screens[0];
  const mayLoad = !isLoaded.value && reachable.value;
  useEffect(() => {
    if (mayLoad) loadOlder().catch(sayTrouble);
  }, [mayLoad]);
  useEffect(startHeartbeat, []);
  useLayoutEffect(() => {
    // The sheet restores its own scroll position.
    if (screen.word !== "") scrollTo(0, 0);
  }, [screen, rest.join("/")]);
  useEffect(() => {
    document.title = `${screen.title} · Smart Filter`;
  }, [screen]);
  if (screen.isBare) {
    return html`<main class="bare" id="main"><${screen.Screen} /></main><${Toasts} />`;
  }
  return html`<div class="shell">
    <div>
      <a class="skip button unseen" href="#main" onClick=${skip}>Skip to the pictures</a>
      <header class="topbar">
        <a class="brand" href="#/"><img src="/studio/icon.svg" alt="" />Smart Filter</a>
        <nav class="places" aria-label="Places">
          ${screens.filter((one) => one.icon).map(
            (one) => html`<a key=${one.word} href=${`#/${one.word}`}
              aria-current=${one === screen || one.word === screen.within ? "page" : undefined}>
              <${Icon} name=${one.icon} />${one.title}</a>`,
          )}
        </nav>
        <span class="spacer" />
        <${Theme} />
        <${Sessions} />
        <${SignOut} />
      </header>
      ${!reachable.value && html`<p class="offline" role="status">
        <${Icon} name="alert" />The service cannot be reached. The page stays usable and continues
        when the service is back.</p>`}
    </div>
    <main class="screen" id="main" tabindex="-1">
      <${screen.Screen} key=${rest.join("/")} words=${rest} />
    </main>
    <${BulkBar} />
    <${Toasts} />
  </div>`;
}

/** Sign-out; asks for confirmation when unsent photos would be removed from this browser. */
function SignOut() {
  const [isAsking, setAsking] = useState(false);
  const inAlbums = albumDrafts.value.reduce((sum, draft) => sum + draft.photos.length, 0);
  const unsent = pending.value.length + inAlbums;
  const leave = () => {
    setAsking(false);
    drop(...pending.value.map((photo) => photo.id));
    for (const draft of albumDrafts.value) giveUp(draft.id);
    signOut().catch(sayTrouble);
  };
  return html`
    <${Button} kind="quiet" icon="signOut" label="Sign out"
      onClick=${() => (unsent === 0 ? leave() : setAsking(true))} />
    ${isAsking && html`<${Dialog} title="Sign out now?" onClose=${() => setAsking(false)}
      actions=${html`<${Button} onClick=${() => setAsking(false)}>Stay<//>
        <${Button} kind="danger" onClick=${leave}>Sign out<//>`}>
      <p>${counted(unsent, "photo has", "photos have")} not been sent yet. Signing out removes
        ${unsent === 1 ? " it" : " them"} from this page.</p>
    <//>`}`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}
