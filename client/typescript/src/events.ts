/** Read server-sent events from a stream. Source: WHATWG HTML, 9.2.5 and 9.2.6. */

// As for any JSON of the API.
const MAX_EVENT_LENGTH = 64_000_000;

export interface ServerSentEvent {
  data: string;
  /** The last id of the stream so far. */
  id: string;
}

/**
 * Yield the events of a stream.
 *
 * A stream is given up if its first bytes take longer than `firstBytesMs`, or later ones longer than
 * `silenceMs`.  Throws TypeError then, and when the connection breaks, as `fetch` does.
 */
export async function* readEvents(
  stream: ReadableStream<Uint8Array>,
  { firstBytesMs, silenceMs }: { firstBytesMs: number; silenceMs: number },
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const reader = stream.getReader();
  const parser = new EventParser();
  const decoder = new TextDecoder();
  let limitMs = firstBytesMs;
  try {
    for (;;) {
      const { done, value } = await withinSilence(reader.read(), limitMs);
      if (done) return;
      limitMs = silenceMs;
      yield* parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Also when the caller stops reading: the connection must not stay open. A broken stream
    // rejects here a second time.
    reader.cancel().catch(() => undefined);
  }
}

/** Return the result of a promise; throws TypeError if it takes longer than `silenceMs`. */
export async function withinSilence<T>(promise: Promise<T>, silenceMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TypeError("the event stream is silent")), silenceMs);
  });
  try {
    return await Promise.race([promise, silence]);
  } finally {
    clearTimeout(timer);
  }
}

class EventParser {
  #unfinished: string[] = [];
  #id = "";
  #data: string[] = [];
  #eventLength = 0;

  /** Yield the events that a piece of text completes.  Throws TypeError for an endless event. */
  *feed(piece: string): Generator<ServerSentEvent, void, undefined> {
    if (piece === "") return;
    const endsInReturn = this.#unfinished.at(-1)?.endsWith("\r");
    this.#unfinished.push(piece);
    this.#eventLength += piece.length;
    if (this.#eventLength > MAX_EVENT_LENGTH) throw new TypeError("an event of the stream is endless");
    // Joining a long line at each of its pieces would take quadratic time.
    if (!/[\r\n]/.test(piece) && !endsInReturn) return;
    const text = this.#unfinished.join("");
    // A carriage return at the end can be the first half of a line break.
    const end = text.endsWith("\r") ? text.length - 1 : text.length;
    const lines = text.slice(0, end).split(/\r\n|\r|\n/);
    const rest = (lines.pop() ?? "") + text.slice(end);
    this.#unfinished = [rest];
    for (const line of lines) {
      if (line !== "") {
        this.#readField(line);
        continue;
      }
      if (this.#data.length > 0) yield { data: this.#data.join("\n"), id: this.#id };
      this.#data = [];
      this.#eventLength = rest.length;
    }
  }

  #readField(line: string): void {
    const colon = line.indexOf(":");
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
  }
}
