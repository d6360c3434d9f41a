/** The error of every request that the service, a proxy or the storage refuses. */
import type { Problem, ProblemError } from "./types.js";

// Of a proxy or storage too, which send no problem document.
const RETRYABLE_STATUSES = new Set([429, 502, 503, 504]);

/**
 * A refused request: a problem document (RFC 9457).
 *
 * `code` is stable, such as `invalid_recipe`; docs/problems lists all. A response without a problem
 * document has `unavailable` (429, 502, 503, 504: send it again later) or `unexpected_answer`.
 * A connection that fails is not a refusal: `fetch` throws its own `TypeError`.
 */
export class SmartFilterError extends Error {
  override readonly name = "SmartFilterError";
  readonly status: number;
  readonly code: string;
  /** The same for every response with this code. */
  readonly title: string;
  /** About this response, for people. */
  readonly detail: string;
  /** What to do, for people. */
  readonly remedy: string;
  /** Every invalid field, by its JSON Pointer into the request. */
  readonly errors: readonly ProblemError[];
  /** Seconds after which to send the request again, if the response says so. */
  readonly retryAfter: number | null;
  /** Names the request in the server's log. */
  readonly requestId: string | null;

  constructor(status: number, problem: Partial<Problem>, headers: Headers = new Headers()) {
    const code = RETRYABLE_STATUSES.has(status) ? "unavailable" : "unexpected_answer";
    const title = problem.title ?? `HTTP ${status}`;
    super(problem.detail || title);
    this.status = status;
    this.code = problem.code ?? code;
    this.title = title;
    this.detail = problem.detail ?? "";
    this.remedy = problem.remedy ?? "";
    this.errors = problem.errors ?? [];
    this.retryAfter = parseRetryAfter(headers);
    this.requestId = headers.get("X-Request-Id") ?? problem.instance ?? null;
  }

  /** Whether the same request can succeed later. */
  get isRetryable(): boolean {
    return RETRYABLE_STATUSES.has(this.status);
  }
}

/** Return the error of a response whose status is 400 or above; reads its body. */
export async function errorFrom(response: Response): Promise<SmartFilterError> {
  return new SmartFilterError(response.status, await parseProblem(response), response.headers);
}

async function parseProblem(response: Response): Promise<Partial<Problem>> {
  try {
    const document = (await response.json()) as Partial<Problem> | null;
    return typeof document?.code === "string" ? document : {};
  } catch {
    return {};
  }
}

/** Return the seconds of Retry-After. Source: RFC 9110, 10.2.3: seconds, or a date. */
function parseRetryAfter(headers: Headers): number | null {
  const text = headers.get("Retry-After")?.trim() ?? "";
  if (/^\d+$/.test(text)) return Number(text);
  const until = Date.parse(text);
  if (Number.isNaN(until)) return null;
  // The server's own clock if it can be read: clocks need not agree.
  const sent = Date.parse(headers.get("Date") ?? "");
  return Math.max(0, (until - (Number.isNaN(sent) ? Date.now() : sent)) / 1000);
}
