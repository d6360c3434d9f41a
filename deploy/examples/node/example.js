// Submits a photo, receives the webhook of its end, verifies it, and fetches the picture.
//
//   SMART_FILTER_URL=… SMART_FILTER_API_KEY=… node example.js me.jpg me-cut-out.png
//
// The key needs all scopes, because the example creates a webhook of its own and deletes it at the
// end. A real server creates its webhook once, and stores the secret.
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const { SMART_FILTER_URL, SMART_FILTER_API_KEY, HOST = "127.0.0.1", PORT = "0" } = process.env;
const [photo, picture] = process.argv.slice(2);
if (!SMART_FILTER_URL || !SMART_FILTER_API_KEY || !photo || !picture) {
  console.error("usage: SMART_FILTER_URL=… SMART_FILTER_API_KEY=… node example.js PHOTO PICTURE");
  process.exit(2);
}

// Errors are problem documents (RFC 9457): `code` is for programs, `detail` for people.
async function ask(method, path, options = {}) {
  const headers = { Authorization: `Bearer ${SMART_FILTER_API_KEY}`, ...options.headers };
  const url = new URL(path, SMART_FILTER_URL);
  const answer = await fetch(url, { method, ...options, headers });
  if (!answer.ok) {
    const { code, detail } = await answer.json();
    throw new Error(`${method} ${path}: ${code} (${detail})`);
  }
  return answer;
}

async function post(path, document) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": randomUUID() };
  return (await ask("POST", path, { headers, body: JSON.stringify(document) })).json();
}

async function submit(photo) {
  const form = new FormData();
  form.set("photo", new Blob([await readFile(photo)]));
  form.set("background", "transparent");
  form.set("metadata.order", "17"); // returned with every event
  // A retry after a lost response must use the same key: then it creates one job.
  const headers = { "Idempotency-Key": randomUUID() };
  return (await ask("POST", "/v1/jobs", { headers, body: form })).json();
}

const seen = new Set(); // ids of the last days: an event can come more than once
const ends = new Map(); // by job: a promise of its end, and its resolver
let secret; // known shortly after the server listens

function end(id) {
  if (!ends.has(id)) {
    const one = {};
    one.promise = new Promise((resolve) => { one.resolve = resolve; });
    ends.set(id, one);
  }
  return ends.get(id);
}

const receiver = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let event;
  try {
    // The raw bytes: a body that was parsed and serialized again has another signature.
    event = new Webhook(secret).verify(Buffer.concat(chunks).toString(), request.headers);
  } catch {
    response.writeHead(400).end();
    return;
  }
  response.writeHead(204).end(); // respond first, then do the work
  const id = request.headers["webhook-id"];
  if (seen.has(id)) return;
  seen.add(id);
  end(event.data.id).resolve(event); // the tenant can have other jobs too
});
await new Promise((resolve) => { receiver.listen(Number(PORT), HOST, resolve); });
const address = `http://${HOST}:${receiver.address().port}/`;

const webhook = await post("/v1/webhooks", { url: address });
secret = webhook.secret;
try {
  const { id } = await submit(photo);
  const { type, data: job } = await end(id).promise;
  if (type !== "job.succeeded") throw new Error(`${type}: ${job.error?.detail}`);
  const image = await ask("GET", job.outputs.image);
  await writeFile(picture, Buffer.from(await image.arrayBuffer()));
  console.log(JSON.stringify({ id, type, order: job.metadata.order, picture }));
} finally {
  await ask("DELETE", `/v1/webhooks/${webhook.id}`);
  receiver.close();
}
