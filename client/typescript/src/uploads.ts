/** Send photos with progress: straight to storage, or within a submission. */
import { throwRefusal } from "./answers.js";
import type { Upload } from "./types.js";

/** Sends a request, as the global `fetch` does. */
export type Fetch = (request: Request) => Promise<Response>;

export const globalFetch: Fetch = (request) => globalThis.fetch(request);

/** Bytes of a request's body; a form is slightly larger than its photo. */
export interface UploadProgress {
  sentBytes: number;
  totalBytes: number;
}

export type OnUploadProgress = (progress: UploadProgress) => void;

export interface UploadOptions {
  /** Called repeatedly while the photo is sent. */
  onProgress?: OnUploadProgress;
  signal?: AbortSignal;
}

/**
 * Send a photo to the address of an upload; needs no key.
 *
 * The photo must have the type and size that the upload announced.  Throws SmartFilterError if the
 * storage refuses it, TypeError if the storage is unreachable.
 */
export async function putPhoto(
  upload: Upload,
  photo: Blob,
  { onProgress, signal }: UploadOptions = {},
): Promise<void> {
  const { put_url, headers } = upload;
  const redirect = "manual" as const;
  const put = { method: "PUT", headers, body: photo, signal: signal ?? null, redirect };
  const send = onProgress === undefined ? globalFetch : withProgress(globalFetch, onProgress);
  const response = await send(new Request(put_url, put));
  await throwRefusal(response);
  await response.body?.cancel();
}

/**
 * Return a `fetch` that reports how much of a request's body was sent.
 *
 * Browsers get an XMLHttpRequest instead: their `fetch` reports nothing, and sends no streams over
 * HTTP/1.1.
 */
export function withProgress(fetch: Fetch, onProgress: OnUploadProgress): Fetch {
  return async (request) => {
    const body = await request.blob();
    return typeof XMLHttpRequest === "undefined"
      ? fetch(countedRequest(request, body, onProgress))
      : sendByXhr(request, body, onProgress);
  };
}

function countedRequest(request: Request, body: Blob, onProgress: OnUploadProgress): Request {
  let sentBytes = 0;
  const counter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      controller.enqueue(piece);
      sentBytes += piece.byteLength;
      onProgress({ sentBytes, totalBytes: body.size });
    },
  });
  const { url, method, signal, redirect } = request;
  const headers = new Headers(request.headers);
  // The storage signs the length and refuses a body in chunks.
  headers.set("Content-Length", String(body.size));
  const stream = body.stream().pipeThrough(counter);
  // The types of browsers do not know `duplex`, which streams need.
  const streamed: RequestInit & { duplex: "half" } = {
    method,
    headers,
    signal,
    redirect,
    body: stream,
    duplex: "half",
  };
  return new Request(url, streamed);
}

function sendByXhr(request: Request, body: Blob, onProgress: OnUploadProgress): Promise<Response> {
  const { url, method, signal } = request;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    signal.addEventListener("abort", abort, { once: true });
    xhr.upload.onprogress = ({ loaded }) =>
      onProgress({ sentBytes: loaded, totalBytes: body.size });
    xhr.onload = () => {
      const { status, responseText } = xhr;
      resolve(new Response(responseText || null, { status, headers: headersOf(xhr) }));
    };
    xhr.onerror = () => reject(new TypeError(`${new URL(url).host} is unreachable`));
    xhr.onabort = () => reject(signal.reason);
    xhr.onloadend = () => signal.removeEventListener("abort", abort);
    xhr.open(method, url);
    for (const [name, value] of request.headers) xhr.setRequestHeader(name, value);
    xhr.send(body);
  });
}

function headersOf(xhr: XMLHttpRequest): Headers {
  const headers = new Headers();
  for (const line of xhr.getAllResponseHeaders().split("\r\n").filter(Boolean)) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return headers;
}
