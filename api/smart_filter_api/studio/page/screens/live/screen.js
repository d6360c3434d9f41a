/** The live page: the camera with another background, and photos taken from it. */

import { useEffect, useRef } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Trouble, sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { live, shoot, start, stop } from "../../state/live.js";
import { changeSettings, settings } from "../../state/live-settings.js";
import { Backgrounds } from "./backgrounds.js";
import { Options } from "./options.js";
import { Shots } from "./shots.js";
import { Stage } from "./stage.js";
import { Summary } from "./summary.js";

export function Live() {
  const video = useRef(null);
  const begin = () => start(video.current).catch(sayTrouble);
  const { state, error } = live.value;
  const isRunning = !["off", "failed"].includes(state);
  useEffect(() => () => stop(), []);
  usePause(begin);
  useSpace(state === "on");
  return html`<div class="live">
    <div class="live-main stack">
      <h1 class="unseen">Live</h1>
      <${Stage} video=${video} onStart=${begin} />
      ${error && html`<${Trouble} error=${error}>
        ${state === "failed" && html`<${Button} kind="small" icon="refresh" onClick=${begin}>
          Try again<//>`}
      <//>`}
      <div class="live-bar row wrap">
        <${Button} kind="primary" icon="camera" disabled=${state !== "on"} aria-keyshortcuts="Space"
          onClick=${take}>Take a photo<//>
        <${Button} icon="face" aria-pressed=${String(settings.value.isShutterOn)}
          onClick=${() => changeSettings({ isShutterOn: !settings.value.isShutterOn })}>Smile shutter<//>
        ${isRunning && html`<${Button} kind="quiet" icon="close" label="Stop the camera"
          onClick=${() => stop()} />`}
      </div>
      <p class="soft small">${settings.value.isShutterOn
        ? "When all people smile with open eyes, the best moment is taken as a photo automatically."
        : "Turn on the smile shutter to take photos of smiles automatically."}</p>
      <${Shots} />
      <${Summary} />
    </div>
    <aside class="live-side stack" aria-label="What you can change">
      <${Backgrounds} />
      <${Options} onCamera=${() => isRunning && begin()} />
    </aside>
  </div>`;
}

function take() {
  shoot().catch(sayTrouble);
}

/** Stop the camera while the page is hidden, and start it again afterwards. */
function usePause(begin) {
  useEffect(() => {
    const turned = () => {
      const { state } = live.value;
      if (document.hidden && !["off", "failed"].includes(state)) stop("paused");
      if (!document.hidden && state === "paused") begin();
    };
    document.addEventListener("visibilitychange", turned);
    return () => document.removeEventListener("visibilitychange", turned);
  }, []);
}

/** Take a photo on Space, except where Space presses a button or types a character. */
function useSpace(isOn) {
  useEffect(() => {
    if (!isOn) return undefined;
    const pressed = (event) => {
      const isElsewhere = event.target.closest("button, a, input, select, textarea, dialog, summary");
      if (event.code !== "Space" || event.repeat || isElsewhere) return;
      event.preventDefault();
      take();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [isOn]);
}
