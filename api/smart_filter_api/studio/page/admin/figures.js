/** Formats figures with their units for the admin page. */

import { now } from "./state.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Return a count such as "12,345". */
export function count(number) {
  return number.toLocaleString("en");
}

/** Return seconds as "0.4 s", "12 s", "3 min", "2 h 5 min" or "4 days". */
export function seconds(number) {
  if (number < 9.95 && !Number.isInteger(number)) return `${number.toFixed(1)} s`;
  if (number < 2 * MINUTE) return `${Math.round(number)} s`;
  if (number < HOUR) return `${Math.round(number / MINUTE)} min`;
  if (number < 2 * DAY) {
    const hours = Math.floor(number / HOUR);
    const minutes = Math.round((number - hours * HOUR) / MINUTE);
    return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  }
  return `${Math.round(number / DAY)} days`;
}

/** Return the time since a moment, such as "3 min". */
export function age(moment) {
  return seconds(Math.max(0, Math.round((now.value - Date.parse(moment)) / 1000)));
}

/** Return a moment as local date and time, for a title. */
export function exactly(moment) {
  return new Date(moment).toLocaleString();
}
