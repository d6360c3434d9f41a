/** The panels next to a photo, in order; each gets `photo` (state/photos.js). */

import { background } from "./background.js";
import { cutout } from "./cutout.js";
import { expert } from "./expert.js";
import { people } from "./people.js";
import { print } from "./print.js";
import { save } from "./save.js";

export const panels = [background, cutout, people, print, save, expert];
