/** The logo of new photos, which a saved recipe keeps. */

import { Select } from "../../controls/fields.js";
import { html } from "../../html.js";
import { useHeld } from "../../state/backgrounds.js";
import { mayAddPictures, ownPictures } from "../../state/own-pictures.js";
import { savedRecipes, serviceLogos } from "../../state/saved-recipes.js";
import { want, wanted } from "../../state/wanted.js";
import { OwnPictures } from "../background/own-pictures.js";

const PLACES = [
  { value: "bottom-right", label: "Lower right" },
  { value: "bottom", label: "Lower edge" },
  { value: "bottom-left", label: "Lower left" },
  { value: "top-right", label: "Upper right" },
  { value: "top", label: "Upper edge" },
  { value: "top-left", label: "Upper left" },
  { value: "center", label: "Middle" },
];

/** Choice of a logo and its place; nothing where there is none and none can be added. */
export function LogoChoice() {
  const { logo, logoPlace } = wanted.value;
  useHeld(savedRecipes);
  const { items } = useHeld(ownPictures);
  const own = (items ?? []).filter((one) => one.use === "logo" && one.thumbnail !== null);
  const titles = new Map(own.map((one) => [one.name, one.title]));
  const names = [...new Set([...titles.keys(), ...serviceLogos.value, ...(logo === "" ? [] : [logo])])];
  if (names.length === 0 && !mayAddPictures()) return null;
  const options = names.map((name) => ({ value: name, label: titles.get(name) ?? name }));
  return html`${names.length > 0 && html`<${Select} label="Logo" value=${logo}
      options=${[{ value: "", label: "No logo" }, ...options]} onChange=${(name) => want({ logo: name })} />`}
    ${logo !== "" && html`<${Select} label="Place of the logo" options=${PLACES} value=${logoPlace}
      onChange=${(place) => want({ logoPlace: place })} />`}
    <${OwnPictures} use="logo" onAdded=${({ name }) => want({ logo: name })} />`;
}
