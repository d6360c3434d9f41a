/** Sizes, durations and days as text. */

const KILO = 1000;
const DAY_MS = 86_400_000;

/** Return a size such as "3.2 MB"; 1 kB is 1000 bytes. */
export function sizeInWords(bytes) {
  if (bytes < KILO * KILO) return `${Math.max(1, Math.round(bytes / KILO))} kB`;
  return `${(bytes / KILO / KILO).toFixed(1)} MB`;
}

/** Return a rounded duration, such as "about 20 seconds". */
export function durationInWords(seconds) {
  if (seconds < 6) return "a few seconds";
  if (seconds < 55) return `about ${5 * Math.ceil(seconds / 5)} seconds`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 2) return "about a minute";
  if (minutes < 60) return `about ${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  return hours < 2 ? "about an hour" : `about ${hours} hours`;
}

/** Return the local time of a moment (ms), with the day if it is not today. */
export function momentInWords(moment) {
  const then = new Date(moment);
  const clock = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return dayOf(then) === dayOf(new Date()) ? clock : `${clock} on ${dated(then)}`;
}

/** Return the day of a moment as a heading: "Today", "Yesterday", or its date. */
export function dayInWords(moment) {
  const then = new Date(moment);
  if (dayOf(then) === dayOf(new Date())) return "Today";
  if (dayOf(then) === dayOf(new Date(Date.now() - DAY_MS))) return "Yesterday";
  return dated(then);
}

/** Return "1 photo" or "3 photos". */
export function counted(count, one, several = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : several}`;
}

function dated(then) {
  const isThisYear = then.getFullYear() === new Date().getFullYear();
  return then.toLocaleDateString([], {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: isThisYear ? undefined : "numeric",
  });
}

function dayOf(date) {
  return date.toDateString();
}
