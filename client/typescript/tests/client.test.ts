// Tests without a server: `fetch` is replaced.
import assert from "node:assert/strict";
import { test } from "node:test";

import { SmartFilter, SmartFilterError, type Job, type Recipe, type Stroke } from "smart-filter-client";
import { verifyWebhook, WebhookVerificationError } from "smart-filter-client/webhooks";
import { Webhook } from "standardwebhooks";

const ID = "01990000-0000-7000-8000-000000000000";
const RUNNING = { id: ID, state: "running", finished_at: null } as Job;
const ENDED = { id: ID, state: "succeeded", finished_at: "2026-01-01T00:00:00Z" } as Job;

/** Return a client whose requests get these answers in turn, and the requests that it has made. */
function clientOf(...answers: (Response | Error)[]): { client: SmartFilter; requests: Request[] } {
  const requests: Request[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    requests.push(request);
    const answer = answers.shift();
    if (answer instanceof Response) return answer;
    throw answer ?? new TypeError("no more answers");
  };
  return { client: new SmartFilter({ url: "http://127.0.0.1:1", key: "sf_key", fetch }), requests };
}

/** Return a stream of events in pieces of these texts. */
function streamOf(...pieces: string[]): Response {
  const bytes = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(bytes.encode(piece));
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
}

function event(id: number, job: Job): string {
  return `id: ${id}\r\nevent: job.running\r\ndata: ${JSON.stringify({ data: job })}\r\n\r\n`;
}

test("a recipe becomes form fields", async () => {
  const { client, requests } = clientOf(Response.json(RUNNING));
  const recipe: Recipe = {
    background: "color:teal",
    outputs: ["image", "rating"],
    crop: true,
    quality: null,
    filters: ["sparkle", { name: "grade", params: { strength: 0.3 } }],
    segmentation: { model: "grabcut", params: { rounds: 2 } },
    metadata: { order: "17" },
  };

  await client.submit(new Uint8Array([1, 2]), { recipe, wait: 5, idempotencyKey: "a" });

  const [request] = requests;
  const form = await request?.formData();
  const photo = form?.get("photo") as File;
  form?.delete("photo");
  assert.equal(photo.size, 2);
  assert.equal(request?.headers.get("Prefer"), "wait=5");
  assert.equal(request?.headers.get("Authorization"), "Bearer sf_key");
  assert.deepEqual(
    [...(form ?? [])],
    [
      ["filters", "sparkle"],
      ["filters", "grade"],
      ["filters.grade.strength", "0.3"],
      ["background", "color:teal"],
      ["outputs", "image"],
      ["outputs", "rating"],
      ["crop", "true"],
      ["segmentation.model", "grabcut"],
      ["segmentation.params.rounds", "2"],
      ["metadata.order", "17"],
    ],
  );
});

test("a mask or strokes are sent with the photo", async () => {
  const { client, requests } = clientOf(Response.json(RUNNING), Response.json(RUNNING));
  const strokes: Stroke[] = [{ points: [[1, 2]], width: 3, keep: true }];

  await client.submit({ uploadId: "u" }, { maskFile: new Uint8Array([1, 2, 3]) });
  await client.submit({ uploadId: "u" }, { strokes });

  const [masked, marked] = await Promise.all(requests.map((request) => request.formData()));
  assert.equal((masked?.get("mask_file") as File).size, 3);
  assert.deepEqual(JSON.parse(String(marked?.get("strokes"))), strokes);
});

test("a misspelt field of a recipe is a type error", () => {
  // @ts-expect-error: the name is `background`.
  const recipe: Recipe = { backgroud: "auto" };

  assert.ok(recipe);
});

test("events are read from pieces of a stream", async () => {
  const text = `: comment\n\n${event(1, RUNNING)}${event(2, ENDED)}`;
  const { client } = clientOf(streamOf(...text), new Response(null, { status: 204 }));

  const states = [];
  for await (const { data } of client.events(ID)) states.push(data.state);

  assert.deepEqual(states, ["running", "succeeded"]);
});

test("a stream that ends early is reopened after its last event", async () => {
  const { client, requests } = clientOf(streamOf(event(7, RUNNING)), streamOf(event(8, ENDED)));

  const job = await client.wait(ID);

  assert.equal(job.state, "succeeded");
  assert.equal(requests[1]?.headers.get("Last-Event-ID"), "7");
});

test("a wait polls where streams do not pass", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const clock = setInterval(() => context.mock.timers.tick(60_000), 1);
  context.after(() => clearInterval(clock));
  const held = { headers: { "Preference-Applied": "wait=25" } };
  const { client, requests } = clientOf(
    new Response("<html>", { headers: { "Content-Type": "text/html" } }),
    Response.json(RUNNING, held),
    new Response("bad gateway", { status: 502 }),
    new TypeError("fetch failed"),
    Response.json(ENDED, held),
  );
  const seen: string[] = [];

  const job = await client.wait(ID, { onProgress: ({ state }) => seen.push(state) });

  assert.equal(job.state, "succeeded");
  assert.deepEqual(seen, ["running", "succeeded"]);
  assert.equal(requests.at(-1)?.headers.get("Prefer"), "wait=25");
});

test("a wait ends with its signal", async () => {
  const { client } = clientOf(new TypeError("fetch failed"));

  await assert.rejects(client.wait(ID, { signal: AbortSignal.abort(new Error("left")) }));
});

test("a refused wait throws the problem", async () => {
  const problem = { code: "not_found", title: "Not found", detail: `job ${ID}`, errors: null };
  const { client, requests } = clientOf(Response.json(problem, { status: 404 }));

  await assert.rejects(client.wait(ID), { code: "not_found", status: 404, errors: [] });
  assert.equal(requests.length, 1);
});

test("an error of a proxy says when to try again", async () => {
  const headers = { "Retry-After": "7" };
  const { client } = clientOf(new Response("busy", { status: 503, headers }));

  await assert.rejects(client.job(ID), (error: unknown) => {
    assert.ok(error instanceof SmartFilterError);
    assert.deepEqual([error.code, error.retryAfter], ["unavailable", 7]);
    return true;
  });
});

test("an answer that is no JSON is an unexpected answer", async () => {
  const headers = { "Content-Type": "text/html", "Content-Length": "6" };
  for (const answer of [new Response("<html>", { headers }), new Response("<html>"), new Response()]) {
    const { client } = clientOf(answer);

    await assert.rejects(client.job(ID), { name: "SmartFilterError", code: "unexpected_answer" });
  }
});

test("a redirect is not followed", async () => {
  const redirect = () => new Response(null, { status: 302, headers: { Location: "http://other/" } });
  const { client, requests } = clientOf(redirect(), redirect());

  await assert.rejects(client.job(ID), { status: 302, code: "unexpected_answer" });
  await assert.rejects(client.fetchLink("/v1/link"), { status: 302, code: "unexpected_answer" });
  assert.deepEqual(
    requests.map(({ redirect }) => redirect),
    ["manual", "manual"],
  );
});

test("an answer without an end is not held in memory", async () => {
  const piece = new TextEncoder().encode(" ".repeat(1_000_000));
  const endless = () =>
    new Response(new ReadableStream({ pull: (controller) => controller.enqueue(piece) }));

  const busy = new Response(endless().body, { status: 503 });

  await assert.rejects(clientOf(endless()).client.job(ID), /more than 64 MB/);
  await assert.rejects(clientOf(busy).client.job(ID), { code: "unavailable" });
  await assert.rejects(clientOf(endless()).client.fetchOutput(ID, "image"), /more than 1000 MB/);
});

test("a signed link is opened without the key", async () => {
  const { client, requests } = clientOf(new Response("bytes"));

  const output = await client.fetchLink(`/v1/jobs/${ID}/outputs/image?signature=s`);

  assert.equal(await output.text(), "bytes");
  assert.equal(requests[0]?.headers.get("Authorization"), null);
});

test("a webhook is verified with either kind of headers", () => {
  const secret = `whsec_${btoa("0123456789abcdef01234567")}`;
  const body = JSON.stringify({ type: "job.succeeded", timestamp: "", data: ENDED });
  const now = new Date();
  const headers = {
    "webhook-id": "message",
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign("message", now, body),
  };

  const event = verifyWebhook(new TextEncoder().encode(body), headers, secret);

  assert.equal(event.type, "job.succeeded");
  assert.deepEqual(verifyWebhook(body, new Headers(headers), secret), event);
  assert.throws(() => verifyWebhook(`${body} `, headers, secret), WebhookVerificationError);
});
