/** Unique ids. */

/** Return 128 random bits in hexadecimal; `crypto.randomUUID` needs https, which a LAN may lack. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
