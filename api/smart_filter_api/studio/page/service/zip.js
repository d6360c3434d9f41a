/**
 * Zip archives without compression: pictures are compressed already.
 *
 * Source: PKWARE APPNOTE 6.3.10, 4.3 (without ZIP64, so for less than 4 GB and 65,536 files).
 */

const MOST_BYTES = 0xffff_ffff;
const PIECE_BYTES = 1_000_000;
const UTF8_NAMES = 0x0800;
const VERSION = 20;
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * Return a zip as a Blob. Browsers keep large blobs on disk, so only a piece of one file is in
 * memory at a time.
 *
 * files: `[{name, load: () => promise of a Blob}]`. onFile: called after each file. Throws what `load`
 * throws, and `{title, …}` when the archive would be too large.
 */
export async function zip(files, { onFile = () => {} } = {}) {
  const parts = [];
  const directory = [];
  const moment = dosMoment(new Date());
  let offset = 0;
  for (const { name, load } of files) {
    const content = await load();
    const about = { name: new TextEncoder().encode(name), offset, moment };
    const head = header(LOCAL, { ...about, crc: await crcOf(content), size: content.size });
    parts.push(head.bytes, content);
    directory.push(header(CENTRAL, head.about).bytes);
    offset += head.bytes.length + content.size;
    if (offset > MOST_BYTES) throw tooLarge();
    onFile();
  }
  const length = directory.reduce((sum, entry) => sum + entry.length, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, END, true);
  end.setUint16(8, directory.length, true);
  end.setUint16(10, directory.length, true);
  end.setUint32(12, length, true);
  end.setUint32(16, offset, true);
  return new Blob([...parts, ...directory, end.buffer], { type: "application/zip" });
}

/** Return unique names, for file systems that ignore case. */
export function distinct(names) {
  const taken = new Set();
  return names.map((name) => {
    const [, stem, ending] = /^(.*?)(\.[^.]*)?$/.exec(name);
    let free = name;
    for (let number = 2; taken.has(free.toLowerCase()); number += 1) {
      free = `${stem}-${number}${ending ?? ""}`;
    }
    taken.add(free.toLowerCase());
    return free;
  });
}

/** Return a file's local header, or its entry in the central directory. */
function header(kind, about) {
  const { name, offset, moment, crc, size } = about;
  const isCentral = kind === CENTRAL;
  const view = new DataView(new ArrayBuffer((isCentral ? 46 : 30) + name.length));
  view.setUint32(0, kind, true);
    // Entries of the directory start with the creator's version; the next fields are the same.
  if (isCentral) view.setUint16(4, VERSION, true);
  const from = isCentral ? 6 : 4;
  view.setUint16(from, VERSION, true);
  view.setUint16(from + 2, UTF8_NAMES, true);
  view.setUint32(from + 6, moment, true);
  view.setUint32(from + 10, crc, true);
  view.setUint32(from + 14, size, true);
  view.setUint32(from + 18, size, true);
  view.setUint16(from + 22, name.length, true);
  if (isCentral) view.setUint32(42, offset, true);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(name, isCentral ? 46 : 30);
  return { bytes, about };
}

/** Read a Blob in pieces, so that the page stays responsive and only a piece is in memory. */
async function crcOf(content) {
  let crc = 0xffff_ffff;
  for (let at = 0; at < content.size; at += PIECE_BYTES) {
    const piece = new Uint8Array(await content.slice(at, at + PIECE_BYTES).arrayBuffer());
    for (let index = 0; index < piece.length; index += 1) {
      crc = CRC[(crc ^ piece[index]) & 0xff] ^ (crc >>> 8);
    }
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

/** Return time and date in MS-DOS format: local time, with a resolution of two seconds. */
function dosMoment(then) {
  const time = (then.getHours() << 11) | (then.getMinutes() << 5) | (then.getSeconds() >> 1);
  const date = ((then.getFullYear() - 1980) << 9) | ((then.getMonth() + 1) << 5) | then.getDate();
  return ((date << 16) | time) >>> 0;
}

function tooLarge() {
  return {
    title: "The pictures are too large for one zip",
    detail: "They are more than 4 GB in total.",
    remedy: "Download only the winners, or single pictures.",
  };
}
