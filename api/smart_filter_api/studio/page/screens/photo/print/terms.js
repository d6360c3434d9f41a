/** Terms of printability, each with its figures as text. */

const WORST_FIRST = ["poor", "fair", "good"];

/** Return `[{title, verdict, text, figures?}]` of a job's `printability`, worst first. */
export function termsOf(printability) {
  return [
    term("Size", printability.size, ({ width, height, detail }) => [
      `${width} × ${height} pixels of the photo`,
      detail < 1 && `effective resolution ${percent(detail)} of each side`,
    ]),
    term("Sharpness", printability.sharpness, ({ blur_px: blur }) => [
      `Edges of the face are ${blur.toFixed(1)} pixels soft; visible from 1.8`,
    ]),
    term("Light", printability.exposure, (light) => [
      light.brightness !== null && `${light.faces_bright === null ? "The photo is" : "Faces are"} ${percent(light.brightness)} bright`,
      light.brightest !== null && `brightest ${percent(light.brightest)}`,
      light.faces_bright !== null && `${percent(light.faces_bright)} of them overexposed`,
      light.faces_dark !== null && `${percent(light.faces_dark)} black`,
      `of the whole photo ${percent(light.photo_bright)} and ${percent(light.photo_dark)}`,
    ]),
    term("Noise", printability.noise, ({ sigma }) => [
      `${sigma.toFixed(1)} of 255 levels; visible from 4`,
    ]),
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
