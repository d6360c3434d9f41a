/** Components whose modules are loaded when they are first shown. */

import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { reachable } from "../service/api.js";
import { Button } from "./button.js";
import { Trouble } from "./notices.js";

/** A component in place of the one that a module exports. load: an async function: the module. */
export function later(name, load) {
  let exported = null;
  const take = (module) => {
    exported = module[name];
  };
  return function Later(properties) {
    const [state, setState] = useState("loading");
    const mayLoad = exported === null && reachable.value;
    useEffect(() => {
      if (mayLoad) load().then(take).then(() => setState("here"), () => setState("missing"));
    }, [mayLoad]);
    if (exported !== null) return html`<${exported} ...${properties} />`;
    if (state === "missing") return html`<${Missing} />`;
    return html`<p class="soft" role="status">Loading</p>`;
  };
}

function Missing() {
  return html`<${Trouble} error=${{ title: "This screen could not be loaded" }}>
    <${Button} onClick=${() => location.reload()}>Reload the page<//>
  <//>`;
}
