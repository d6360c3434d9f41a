/** Components whose modules are loaded when they are first shown. */

import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
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
    useEffect(() => {
      if (exported === null) load().then(take).then(() => setState("here"), () => setState("missing"));
    }, []);
    if (exported !== null) return html`<${exported} ...${properties} />`;
    return state === "missing" && html`<${Missing} />`;
  };
}

function Missing() {
  return html`<${Trouble} error=${{ title: "This screen could not be loaded" }}>
    <${Button} onClick=${() => location.reload()}>Reload the page<//>
  <//>`;
}
