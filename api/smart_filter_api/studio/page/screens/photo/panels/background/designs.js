/** All designs and pictures, and the choice of a surface texture. */

import { Select } from "../../../../controls/fields.js";
import { html } from "../../../../html.js";
import { library, useHeld } from "../../../../state/backgrounds.js";
import { change } from "../../../../state/changes.js";
import { DesignGrid } from "../../../background/design-grid.js";
import { split } from "../../../background/names.js";

/** The designs; the chosen one, with its texture, is the background. */
export function Designs({ photo, recipe }) {
  const { items } = useHeld(library);
  const [kind, said] = split(recipe.background);
  const [chosen, surface = ""] = kind === "preset" ? said.split("+") : [shownOf(photo)];
  const take = (name, on) =>
    change(photo, { background: `preset:${name}${on && on !== name ? `+${on}` : ""}` });
  return html`<div class="stack">
    <${DesignGrid} current=${chosen} onPick=${(name) => take(name, surface)} />
    ${items !== null && html`<${Select} label="Printed on" value=${surface} hint="A texture under the design."
      options=${[{ value: "", label: "No texture" }, ...surfacesOf(items)]}
      onChange=${(on) => (chosen ? take(chosen, on) : undefined)} />`}
  </div>`;
}

/** Return the design chosen for the photo, if any. */
function shownOf(photo) {
  return photo.current.background?.name?.split("+")[0];
}

function surfacesOf(items) {
  return items
    .filter((design) => design.surface)
    .map((design) => ({ value: design.name, label: design.title }));
}
