// Tests against a running service: SMART_FILTER_URL, SMART_FILTER_API_KEY, PHOTO (a PNG).
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import {
  putPhoto,
  SmartFilter,
  SmartFilterError,
  type Job,
  type UploadProgress,
} from "smart-filter-client";

const { SMART_FILTER_URL: url = "", SMART_FILTER_API_KEY: key = "", PHOTO = "" } = process.env;
const client = new SmartFilter({ url, key });
const photo = await readFile(PHOTO);

test("a photo is submitted with a recipe, followed to its end, and fetched", async () => {
  const seen: Job[] = [];
  const sent: UploadProgress[] = [];

  const submitted = await client.submit(photo, {
    recipe: {
      background: "color:teal",
      format: "png",
      filters: [{ name: "grade", params: { strength: 0.3 } }],
      segmentation: { model: "auto" },
      metadata: { order: "17" },
    },
    expiresIn: 600,
    onUploadProgress: (progress) => sent.push(progress),
  });
  const job = await client.wait(submitted.id, { onProgress: (now) => seen.push(now) });

  assert.deepEqual([job.state, job.error, job.metadata], ["succeeded", null, { order: "17" }]);
  assert.deepEqual([job.recipe.background, job.filters[0]?.name], ["color:teal", "grade"]);
  assert.equal(seen.at(-1)?.id, job.id);
  assert.equal(sent.at(-1)?.sentBytes, sent.at(-1)?.totalBytes);
  const image = await client.fetchOutput(job.id, "image");
  assert.equal(image.type, "image/png");
  const opened = await new SmartFilter({ url }).fetchLink(job.output_links.image ?? "");
  assert.deepEqual(await opened.arrayBuffer(), await image.arrayBuffer());
  const saved = await client.job(job.id, { expiresIn: 60, download: "me.png" });
  assert.match(saved.output_links.image ?? "", /download=me\.png/);
});

test("a wait without streams polls", async () => {
  const polling = new SmartFilter({
    url,
    key,
    fetch: async (request) => {
      if (request.url.endsWith("/events")) throw new TypeError("fetch failed");
      return fetch(request);
    },
  });

  const { id } = await polling.submit(new Blob([new Uint8Array(photo)]), {
    recipe: { background: "color:navy" },
  });

  assert.equal((await polling.wait(id)).state, "succeeded");
});

test("a photo is uploaded straight to storage, with progress", async () => {
  const blob = new Blob([new Uint8Array(photo)], { type: "image/png" });
  const sent: number[] = [];

  const counted = await client.upload(blob, {
    onProgress: ({ sentBytes }) => sent.push(sentBytes),
  });
  const plain = await client.upload(blob);
  const [first, second] = await Promise.all(
    [counted, plain].map(({ upload_id }) =>
      client.submit({ uploadId: upload_id }, { recipe: { background: "keep" } }),
    ),
  );

  assert.equal(sent.at(-1), blob.size);
  assert.equal((await client.wait(first?.id ?? "")).state, "succeeded");
  assert.equal((await client.wait(second?.id ?? "")).state, "succeeded");
});

test("a refusal has its problem's code, and names every invalid field", async () => {
  const refused = client.submit(photo, { recipe: { background: "color:tael", quality: 900 } });

  await assert.rejects(refused, (error: unknown) => {
    assert.ok(error instanceof SmartFilterError);
    assert.deepEqual([error.status, error.code], [422, "invalid_recipe"]);
    assert.deepEqual(error.errors.map(({ pointer }) => pointer).sort(), [
      "/background",
      "/quality",
    ]);
    assert.ok(error.requestId);
    return true;
  });
});

test("a link refuses another photo than the announced one", async () => {
  const upload = await client.createUpload({ type: "image/png", size: 4 });

  await assert.rejects(putPhoto(upload, new Blob(["other bytes"], { type: "image/png" })), {
    status: 403,
    code: "link_invalid",
  });
});
