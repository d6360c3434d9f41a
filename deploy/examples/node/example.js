// Submits a photo, is told of its end by a webhook, verifies that, and fetches the picture.
//
//   SMART_FILTER_URL=… SMART_FILTER_API_KEY=… node example.js me.jpg me-cut-out.png
//
// The key needs all scopes, because the example makes a webhook of its own and deletes it in the
// end. A server of yours has one for good: it makes it once, and keeps the secret.
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
  form.set("metadata.order", "17"); // comes back with every event
  // Whoever sends this again after an answer was lost uses the same key: it is one job then.
  const headers = { "Idempotency-Key": randomUUID() };
  return (await ask("POST", "/v1/jobs", { headers, body: form })).json();
}

const seen = new Set(); // ids of the last days: an event may come more than once
const ends = new Map(); // by job: a promise of its end, and what keeps it
let secret; // known a moment after the server listens

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
    // The bytes as they came: a body that was parsed and written again has another signature.
    event = new Webhook(secret).verify(Buffer.concat(chunks).toString(), request.headers);
  } catch {
    response.writeHead(400).end();
    return;
  }
  response.writeHead(204).end(); // first the answer, then the work
  const id = request.headers["webhook-id"];
  if (seen.has(id)) return;
  seen.add(id);
  end(event.data.id).resolve(event); // the tenant may have other jobs too
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
