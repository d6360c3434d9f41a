/** Starts the admin page. */

import { render } from "preact";
import { html } from "../html.js";
import { begin } from "../state/session.js";
import { Shell } from "./shell.js";

render(html`<${Shell} />`, document.getElementById("admin"));
begin();
