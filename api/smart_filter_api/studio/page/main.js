/** Starts the studio. */

import { render } from "preact";
import { html } from "./html.js";
import { Shell } from "./shell.js";
import { begin } from "./state/session.js";

render(html`<${Shell} />`, document.getElementById("studio"));
begin();
