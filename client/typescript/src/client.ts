/** The client: submits photos, follows and waits for jobs, fetches outputs. */
import createClient, { type Client } from "openapi-fetch";

import { readFile, readJson, throwRefusal } from "./answers.js";
import { SmartFilterError } from "./errors.js";
import { readEvents, withinSilence } from "./events.js";
import { appendRecipe } from "./recipes.js";
import type { paths } from "./schema.js";
import type { Job, JobEvent, Output, Recipe, Stroke, Upload, UploadRequest } from "./types.js";
import {
  globalFetch,
  putPhoto,
  withProgress,
  type Fetch,
  type OnUploadProgress,
  type UploadOptions,
} from "./uploads.js";

// The server sends its first bytes at once: a proxy that brings none collects the whole stream.
const FIRST_BYTES_MS = 10_000;
// The server sends a comment every 15 seconds.
const SILENCE_MS = 45_000;
// Below the idle timeout of proxies.
const LONG_POLL_SECONDS = 25;
// For a server or proxy that answers a long poll at once, or opens streams without events.
const POLL_PAUSE_SECONDS = 1;
// Attempts at one request while a job is awaited: with the pauses between, about 15 seconds.
const MOST_FAILURES = 5;
const FIRST_RETRY_SECONDS = 0.5;

export interface ClientOptions {
  /** Address of the service, such as `https://photos.example.com`. */
  url: string;
  /** An API key or a device token; signed links need none. */
  key?: string;
  /** Sends requests to the service, except submissions with progress in browsers; default: `fetch`. */
  fetch?: Fetch;
}

/** A photo: its bytes, an upload that holds it, or its address on a public host. */
export type Photo = Blob | Uint8Array | { uploadId: string } | { url: string };

export interface SubmitOptions {
  recipe?: Recipe;
  /** Background picture; selects the background `file`. */
  backgroundFile?: Blob | Uint8Array;
  /** The matte exactly: a gray PNG of the photo's size, white where people are. */
  maskFile?: Blob | Uint8Array;
  /** What is drawn over the photo, and marks people or background. */
  strokes?: Stroke[];
  /** Receives the final event, signed with the secret of the webhook `default`. */
  webhookUrl?: string;
  /** Seconds to wait for the end of the job, at most 60. */
  wait?: number;
  /** Lifetime of `output_links` in seconds, in all answers about this job. */
  expiresIn?: number;
  /** Unique for each photo: the same submission, sent twice, makes one job. */
  idempotencyKey?: string;
  /** Called repeatedly while the request is sent. */
  onUploadProgress?: OnUploadProgress;
  signal?: AbortSignal;
}

export interface JobOptions {
  /** Lifetime of `output_links` in seconds. */
  expiresIn?: number;
  /** Browsers save what `output_links` open: `"1"`, or a file name to use. */
  download?: string;
  signal?: AbortSignal;
}

export interface WaitOptions {
  /** Called with the job when it changes. */
  onProgress?: (job: Job) => void;
  /** Ends the wait, for example `AbortSignal.timeout(60_000)`. */
  signal?: AbortSignal;
}

/**
 * A client of one service with one key.
 *
 * Requests that are refused throw SmartFilterError; a failed connection throws what `fetch` throws.
 */
export class SmartFilter {
  /** Every operation of the API with its types; it throws the same errors. */
  readonly api: Client<paths>;
  readonly #url: string;
  readonly #fetch: Fetch;

  constructor({ url, key, fetch = globalFetch }: ClientOptions) {
    this.#url = url;
    this.#fetch = fetch;
    const headers = key === undefined ? {} : { Authorization: `Bearer ${key}` };
    this.api = createClient<paths>({ baseUrl: url, fetch, headers, redirect: "manual" });
    this.api.use({
      onResponse: async ({ request, response, options }) => {
        await throwRefusal(response);
        const hasBody = response.ok && response.status !== 204 && request.method !== "HEAD";
        if (!hasBody || options.parseAs === "stream") return undefined;
        return options.parseAs === "json" ? readJson(response) : readFile(response);
      },
    });
  }

  /** Submit a photo with a recipe; returns its job. */
  async submit(photo: Photo, options: SubmitOptions = {}): Promise<Job> {
    const { wait, expiresIn, idempotencyKey, onUploadProgress, signal } = options;
    const form = submissionForm(photo, options);
    const { data } = await this.api.POST("/v1/jobs", {
      params: {
        query: expiresIn === undefined ? {} : { expires_in: expiresIn },
        header: {
          ...(wait === undefined ? {} : { Prefer: `wait=${wait}` }),
          ...(idempotencyKey === undefined ? {} : { "Idempotency-Key": idempotencyKey }),
        },
      },
      body: {},
      bodySerializer: () => form,
      fetch:
        onUploadProgress === undefined ? this.#fetch : withProgress(this.#fetch, onUploadProgress),
      signal: signal ?? null,
    });
    return data as Job;
  }

  /** Return a job as it is now. */
  async job(jobId: string, { expiresIn, download, signal }: JobOptions = {}): Promise<Job> {
    const { data } = await this.api.GET("/v1/jobs/{job_id}", {
      params: {
        path: { job_id: jobId },
        query: {
          ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
          ...(download === undefined ? {} : { download }),
        },
      },
      signal: signal ?? null,
    });
    return data as Job;
  }

  /**
   * Wait until a job has ended; returns it, whether it succeeded, failed or was canceled.
   *
   * Follows the job's events, and polls where streams do not pass.
   */
  async wait(jobId: string, { onProgress, signal }: WaitOptions = {}): Promise<Job> {
    const events = this.events(jobId, signal);
    try {
      for (;;) {
        const event = await events.next().catch((error: unknown) => {
          const isNoStream = error instanceof SmartFilterError && error.status < 400;
          if (!isNoStream && !isTransient(error, signal)) throw error;
          return null;
        });
        if (event === null || event.done) break;
        const job = event.value.data;
        onProgress?.(job);
        if (job.finished_at !== null) return job;
      }
    } finally {
      await events.return();
    }
    return this.#poll(jobId, onProgress, signal);
  }

  /**
   * Yield the events of a job, from its beginning to its end.
   *
   * A stream that the server ends is reopened after its last event.
   */
  async *events(jobId: string, signal?: AbortSignal): AsyncGenerator<JobEvent, void, undefined> {
    let lastId = "";
    for (;;) {
      let isSilent = true;
      const stopped = new AbortController();
      const signals = signal === undefined ? [stopped.signal] : [stopped.signal, signal];
      try {
        const { response, data } = await withinSilence(
          this.api.GET("/v1/jobs/{job_id}/events", {
            params: { path: { job_id: jobId } },
            headers: { Accept: "text/event-stream", "Last-Event-ID": lastId || null },
            parseAs: "stream",
            signal: AbortSignal.any(signals),
          }),
          FIRST_BYTES_MS,
        );
        if (response.status === 204) return;
        if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
          throw new SmartFilterError(response.status, { detail: "the answer is no event stream" });
        }
        const stream = data as unknown as ReadableStream<Uint8Array>;
        const limits = { firstBytesMs: FIRST_BYTES_MS, silenceMs: SILENCE_MS };
        for await (const { data: text, id } of readEvents(stream, limits)) {
          lastId = id;
          isSilent = false;
          yield JSON.parse(text) as JobEvent;
        }
      } finally {
        stopped.abort();
      }
      if (isSilent) await pause(POLL_PAUSE_SECONDS, signal);
    }
  }

  /** Announce a photo that is uploaded straight to storage; `putPhoto` sends it. */
  async createUpload(photo: { type: string; size: number }, signal?: AbortSignal): Promise<Upload> {
    const { data } = await this.api.POST("/v1/uploads", {
      // The server names the accepted types when it refuses another one.
      body: { content_type: photo.type as UploadRequest["content_type"], bytes: photo.size },
      signal: signal ?? null,
    });
    const upload = data as Upload;
    // A path, of a server that does not know its public name.
    return { ...upload, put_url: new URL(upload.put_url, this.#url).href };
  }

  /** Upload a photo straight to storage; submit it as `{ uploadId: upload.upload_id }`. */
  async upload(photo: Blob, options: UploadOptions = {}): Promise<Upload> {
    const upload = await this.createUpload(photo, options.signal);
    await putPhoto(upload, photo, options);
    return upload;
  }

  /** Return an output of a job, such as `image`; uses the key. */
  async fetchOutput(jobId: string, name: Output, signal?: AbortSignal): Promise<Blob> {
    const { data } = await this.api.GET("/v1/jobs/{job_id}/outputs/{name}", {
      params: { path: { job_id: jobId, name } },
      parseAs: "blob",
      signal: signal ?? null,
    });
    return data as Blob;
  }

  /** Return the output that a signed link (`output_links` of a job) opens; sends no key. */
  async fetchLink(link: string, signal?: AbortSignal): Promise<Blob> {
    const init = { signal: signal ?? null, redirect: "manual" } as const;
    const response = await this.#fetch(new Request(new URL(link, this.#url), init));
    await throwRefusal(response);
    return (await readFile(response)).blob();
  }

  async #poll(
    jobId: string,
    onProgress: ((job: Job) => void) | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Job> {
    for (;;) {
      const { job, wasHeld } = await this.#longPoll(jobId, signal);
      onProgress?.(job);
      if (job.finished_at !== null) return job;
      if (!wasHeld) await pause(POLL_PAUSE_SECONDS, signal);
    }
  }

  /** Return a job when it has ended or some seconds have passed; retries what can succeed later. */
  async #longPoll(
    jobId: string,
    signal: AbortSignal | undefined,
  ): Promise<{ job: Job; wasHeld: boolean }> {
    for (let failures = 1; ; failures += 1) {
      try {
        const { data, response } = await this.api.GET("/v1/jobs/{job_id}", {
          params: { path: { job_id: jobId }, header: { Prefer: `wait=${LONG_POLL_SECONDS}` } },
          signal: signal ?? null,
        });
        return { job: data as Job, wasHeld: response.headers.has("Preference-Applied") };
      } catch (error) {
        if (failures === MOST_FAILURES || !isTransient(error, signal)) throw error;
        const asked = error instanceof SmartFilterError ? (error.retryAfter ?? 0) : 0;
        await pause(Math.max(asked, FIRST_RETRY_SECONDS * 2 ** failures), signal);
      }
    }
  }
}

function submissionForm(
  photo: Photo,
  { recipe, backgroundFile, maskFile, strokes, webhookUrl }: SubmitOptions,
): FormData {
  const form = new FormData();
  if (photo instanceof Blob || photo instanceof Uint8Array) form.append("photo", blobOf(photo));
  else if ("uploadId" in photo) form.append("upload_id", photo.uploadId);
  else form.append("photo_url", photo.url);
  if (backgroundFile !== undefined) form.append("background_file", blobOf(backgroundFile));
  if (maskFile !== undefined) form.append("mask_file", blobOf(maskFile));
  if (strokes !== undefined) form.append("strokes", JSON.stringify(strokes));
  if (webhookUrl !== undefined) form.append("webhook_url", webhookUrl);
  if (recipe !== undefined) appendRecipe(form, recipe);
  return form;
}

function blobOf(bytes: Blob | Uint8Array): Blob {
  // The copy is never backed by shared memory, which Blob refuses.
  return bytes instanceof Blob ? bytes : new Blob([new Uint8Array(bytes)]);
}

/** Whether a request that failed can succeed later, or by other means. */
function isTransient(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted) return false;
  // `fetch` throws TypeError when the connection fails.
  if (!(error instanceof SmartFilterError)) return error instanceof TypeError;
  return error.isRetryable;
}

/** Wait some seconds; throws the signal's reason when it is aborted. */
function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
