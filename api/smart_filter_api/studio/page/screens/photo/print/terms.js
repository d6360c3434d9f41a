/** Terms of printability, each with its figures as text. */

/** Smaller shares of lost light are not worth a word. */
const MOST_LOST = 0.01;
const WORST_FIRST = ["poor", "fair", "good"];

/** Return `[{title, verdict, text, figures?}]` of a job's `printability`, worst first. */
export function termsOf({ printability, image }) {
  return [
    // The text says how many of these pixels the photo gives, as in the terminal.
    term("Size", printability.size, () => [image && `${image.width} × ${image.height} pixels`]),
    term("Sharpness", printability.sharpness, () => []),
    term("Light", printability.exposure, (light) => [
      light.faces_bright > MOST_LOST && `${percent(light.faces_bright)} of a face is burnt out`,
      light.faces_dark > MOST_LOST && `${percent(light.faces_dark)} of a face is black`,
      light.photo_bright > MOST_LOST && `${percent(light.photo_bright)} of the photo is burnt out`,
      light.photo_dark > MOST_LOST && `${percent(light.photo_dark)} of the photo is black`,
    ]),
    term("Noise", printability.noise, () => []),
    term("Head room", printability.head_room, ({ share }) => [
      `${percent(share)} of the height is free above the topmost head`,
    ]),
    term("Looks", printability.looks, ({ blinking, one_eye_closed: winking, turned_away: away }) => [
      who(blinking, "with closed eyes"),
      who(winking, "with one eye closed"),
      who(away, "turned away"),
    ]),
  ]
    .filter((one) => one !== null)
    .sort((one, other) => WORST_FIRST.indexOf(one.verdict) - WORST_FIRST.indexOf(other.verdict));
}

function term(title, result, inWords) {
  if (result === null) return null;
  const figures = inWords(result).filter(Boolean).join("; ");
  return { title, verdict: result.verdict, text: result.text, figures: figures && `${figures}.` };
}

function percent(share) {
  const value = 100 * share;
  return `${value > 0 && value < 1 ? "under 1" : Math.round(value)}\u00a0%`;
}

function who(numbers, how) {
  if (numbers.length === 0) return "";
  return `${numbers.length === 1 ? "person" : "persons"} ${numbers.join(", ")} ${how}`;
}
