/** Markup in scripts: `html` makes Preact elements from template literals, without a build step. */

import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);
