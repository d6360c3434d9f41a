/** Light or dark theme: the system's until the user chooses. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "../html.js";
import { readStored, store } from "../service/stored.js";
import { Button } from "./button.js";

const THEME = "smart-filter.theme";
const theme = signal(readStored("localStorage", THEME) ?? systemTheme());

/** The button that switches the theme. */
export function Theme() {
  const isDark = theme.value === "dark";
  useEffect(() => {
    document.documentElement.dataset.theme = theme.value;
  }, [theme.value]);
  const turn = () => {
    theme.value = isDark ? "light" : "dark";
    store("localStorage", THEME, theme.value);
  };
  return html`<${Button} kind="quiet" icon=${isDark ? "sun" : "moon"}
    label=${isDark ? "Light theme" : "Dark theme"} onClick=${turn} />`;
}

function systemTheme() {
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
