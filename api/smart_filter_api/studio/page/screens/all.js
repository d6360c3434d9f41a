/**
 * All screens. `word`: its address (`#/word/…`). `icon`: its icon in the navigation. `within`: the
 * place it belongs to. `isBare`: it has the window to itself, without navigation. `Screen` gets the
 * further words of the address.
 */

import { later } from "../controls/later.js";
import { Sheet } from "./sheet/screen.js";

const Albums = later("Albums", () => import("./albums/screen.js"));
const Booth = later("Booth", () => import("./booth/screen.js"));
const Compare = later("Compare", () => import("./compare/screen.js"));
const Live = later("Live", () => import("./live/screen.js"));
const PhotoScreen = later("PhotoScreen", () => import("./photo/screen.js"));

export const screens = [
  { word: "", title: "Studio", icon: "sheet", Screen: Sheet },
  { word: "albums", title: "Albums", icon: "album", Screen: Albums },
  { word: "live", title: "Live", icon: "live", Screen: Live },
  { word: "photo", title: "Photo", within: "", Screen: PhotoScreen },
  { word: "booth", title: "Photo booth", isBare: true, Screen: Booth },
  { word: "compare", title: "Two recipes", within: "", Screen: Compare },
];
