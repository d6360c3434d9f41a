/** Check the answers of the service: no redirects, bounded bodies, JSON where JSON is expected. */
import { errorFrom, SmartFilterError } from "./errors.js";

const MEGA = 1_000_000;
// The longest list of the API, 1000 items of a batch, has 2 MB.
const JSON_BYTES = 64 * MEGA;
// A PNG of the largest picture, 50 megapixels with alpha, has 200 MB.
const FILE_BYTES = 1000 * MEGA;

/** Throw SmartFilterError for a refusal, and for a redirect, which could lead to another server. */
export async function throwRefusal(response: Response): Promise<void> {
  const { status, headers } = response;
  if (status >= 400) {
    const bounded = await readJson(response).catch(() => new Response(null, { status, headers }));
    throw await errorFrom(bounded);
  }
  // Browsers show a redirect without its status.
  if (response.type === "opaqueredirect" || (status >= 300 && status !== 304)) {
    await response.body?.cancel();
    throw new SmartFilterError(status, { detail: "the answer is a redirect, which is not followed" });
  }
}

/** Return an answer with its body in memory; throws SmartFilterError if it is not JSON. */
export async function readJson(response: Response): Promise<Response> {
  const text = await (await readBody(response, JSON_BYTES)).text();
  try {
    JSON.parse(text);
  } catch {
    throw new SmartFilterError(response.status, { detail: "the answer is no JSON" });
  }
  return withBody(response, text);
}

/** Return an answer with its body, a file, in memory; throws SmartFilterError if it is too large. */
export async function readFile(response: Response): Promise<Response> {
  return withBody(response, await readBody(response, FILE_BYTES));
}

async function readBody(response: Response, maxBytes: number): Promise<Blob> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const reader = response.body?.getReader();
  let seenBytes = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    seenBytes += value.byteLength;
    if (seenBytes > maxBytes) {
      await reader.cancel();
      const detail = `the answer has more than ${maxBytes / MEGA} MB`;
      throw new SmartFilterError(response.status, { detail });
    }
    pieces.push(value);
  }
  return new Blob(pieces);
}

function withBody({ status, statusText, headers }: Response, body: BodyInit): Response {
  return new Response(body, { status, statusText, headers });
}
