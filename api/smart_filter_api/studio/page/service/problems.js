/**
 * Errors between the page and the service, with texts for people.
 *
 * The service returns problem documents (RFC 9457) for programs: fields, headers and paths of the
 * API are left out here.
 */

// Names in the texts of a picture that a recipe names and the service does not have.
const STORED = /^.(site|tenant)\//;
const GONE = { "/background": "background", "/logo": "logo" };

/** The service refused a request. */
export class Problem extends Error {
  /** @param {{status: number, code: string, title: string, detail?: string, remedy?: string,
   *    errors?: {detail: string, pointer: string}[], retryAfterSeconds?: number|null}} fields */
  constructor(fields) {
    super(fields.detail || fields.title);
    this.status = fields.status;
    this.code = fields.code;
    this.title = fields.title;
    this.detail = fields.detail ?? "";
    this.remedy = fields.remedy ?? "";
    this.errors = fields.errors ?? [];
    this.retryAfterSeconds = fields.retryAfterSeconds ?? null;
  }
}

/** The service could not be reached, or the connection broke. */
export class Away extends Error {
  constructor() {
    super("The service cannot be reached.");
    this.code = "away";
    this.title = "The service cannot be reached";
    this.detail = "The connection broke, or the service is not running.";
    this.remedy = "Nothing is lost. Try again; the page continues automatically when the service is back.";
  }
}

/** Return the Problem of a response with an error status. */
export function problemFrom(status, text, retryAfter) {
  let fields = {};
  try {
    fields = JSON.parse(text);
  } catch {
    // A proxy answered in another format.
  }
  const seconds = Number.parseInt(retryAfter ?? "", 10);
  return new Problem({
    title: "Something went wrong",
    code: "internal",
    ...fields,
    ...wordsFor(fields),
    status,
    retryAfterSeconds: Number.isNaN(seconds) ? null : seconds,
  });
}

/** Return the detail and remedy to show: the first invalid field alone says what to change. */
function wordsFor({ detail = "", remedy = "", errors }) {
  if (errors?.length > 0) return { detail: sentenceOf(errors[0]), remedy: "" };
  const sentences = remedy.split(/(?<=\.) /).filter((sentence) => !sentence.includes("`"));
  return { detail, remedy: sentences.join(" ") };
}

function sentenceOf({ pointer, detail }) {
  const gone = GONE[pointer];
  if (gone && STORED.test(detail)) return `Its ${gone} was deleted: choose another one`;
  const name = pointer.slice(pointer.lastIndexOf("/") + 1).replace(/_/g, " ");
  const words = /^(is|has|must|would|cannot) /.test(detail) ? `${name} ${detail}` : detail;
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

/** Return whether the same request may succeed later, unchanged. */
export function isPassing(error) {
  return error instanceof Away || [429, 502, 503, 504].includes(error.status);
}
