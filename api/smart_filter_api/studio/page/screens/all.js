/**
 * All screens. `word`: its address (`#/word/…`). `icon`: its icon in the navigation. `within`: the
 * place it belongs to. `isBare`: it has the window to itself, without navigation. `Screen` gets the
 * further words of the address.
 */

import { Compare } from "./compare/screen.js";
import { Albums } from "./albums/screen.js";
import { Booth } from "./booth/screen.js";
import { Live } from "./live/screen.js";
import { PhotoScreen } from "./photo/screen.js";
import { Sheet } from "./sheet/screen.js";

export const screens = [
  { word: "", title: "Studio", icon: "sheet", Screen: Sheet },
  { word: "albums", title: "Albums", icon: "album", Screen: Albums },
  { word: "live", title: "Live", icon: "live", Screen: Live },
  { word: "photo", title: "Photo", within: "", Screen: PhotoScreen },
  { word: "booth", title: "Photo booth", isBare: true, Screen: Booth },
  { word: "compare", title: "Two recipes", within: "", Screen: Compare },
];
