/**
 * Small values that the browser keeps for the page, and its channel to other tabs.
 *
 * Both throw where the user blocks all of a site's data: values then last as long as the page.
 */

/** Return the value stored at a place, or null. kind: "localStorage", or "sessionStorage" for this tab. */
export function readStored(kind, place) {
  try {
    return JSON.parse(window[kind].getItem(place));
  } catch {
    return null;
  }
}

/** Store a value, if the browser does and has room. */
export function store(kind, place, value) {
  try {
    window[kind].setItem(place, JSON.stringify(value));
  } catch {
    // The page keeps the value itself.
  }
}

/** Return a BroadcastChannel; where there are none, one that stays in this tab. */
export function openChannel(name) {
  try {
    return new BroadcastChannel(name);
  } catch {
    return Object.assign(new EventTarget(), { postMessage() {} });
  }
}
