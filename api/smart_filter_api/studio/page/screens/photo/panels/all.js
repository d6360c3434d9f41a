/** The panels beside a photo, in their order; each is given `photo` (state/photos.js). */

import { expert } from "./expert.js";
import { people } from "./people.js";
import { print } from "./print.js";
import { save } from "./save.js";

export const panels = [people, print, save, expert];
