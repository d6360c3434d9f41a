/** The panels beside a photo, in their order; each is given `photo` (state/photos.js). */

import { background } from "./background.js";
import { people } from "./people.js";

export const panels = [background, people];
