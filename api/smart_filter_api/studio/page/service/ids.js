/** Unique ids that start with the time, as those of jobs do. */

const LAST_PLACE = 0xffff;

/** Return a new id: 128 bits in hexadecimal. */
export function newId() {
  return newIds(1)[0];
}

/** Return ids of things that are added together; sorted by `newestFirst`, they keep their order. */
export function newIds(count) {
  const time = hex(Date.now(), 12);
  // `crypto.randomUUID` needs https, which a LAN may lack.
  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => hex(byte, 2));
  return Array.from({ length: count }, (_, place) =>
    [time, hex(Math.max(0, LAST_PLACE - place), 4), ...random()].join(""),
  );
}

/** Return the time (ms) at which an id was made, here or by the service. */
export function timeOf(id) {
  return Number.parseInt(digitsOf(id).slice(0, 12), 16);
}

/** Return things with ids in order, the newest first. */
export function newestFirst(things) {
  // Each id is read once: a sheet has thousands.
  const keyed = things.map((thing) => ({ thing, key: digitsOf(thing.id) }));
  keyed.sort((one, other) => (one.key < other.key ? 1 : Number(one.key === other.key) - 1));
  return keyed.map(({ thing }) => thing);
}

function digitsOf(id) {
  return id.replaceAll("-", "");
}

function hex(number, length) {
  return number.toString(16).padStart(length, "0");
}
