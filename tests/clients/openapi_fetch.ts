// Submits a photo with a recipe, waits for its job and downloads the picture: openapi-typescript and
// openapi-fetch.
import { readFile, writeFile } from "node:fs/promises";

import createClient from "openapi-fetch";

import type { components, paths } from "./generated/openapi_typescript.js";

const [url = "", key = "", photo = "", picture = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

const recipe: components["schemas"]["Recipe"] = {
  background: "color:teal",
  outputs: ["image", "rating"],
  format: "png",
  crop: null,
  filters: [{ name: "grade", params: { strength: 0.3 } }],
  segmentation: { model: "auto" },
  metadata: { order: "17" },
};
const submitted = await client.POST("/v1/jobs", {
  body: { photo_base64: await readFile(photo, "base64"), photo_url: null, recipe },
});
if (submitted.data === undefined) throw new Error(submitted.error.detail);

let job: components["schemas"]["Job"] = submitted.data;
while (job.finished_at === null) {
  const answer = await client.GET("/v1/jobs/{job_id}", {
    params: { path: { job_id: job.id }, header: { Prefer: "wait=20" } },
  });
  if (answer.data === undefined) throw new Error(answer.error?.detail);
  job = answer.data;
}

const output = await client.GET("/v1/jobs/{job_id}/outputs/{name}", {
  params: { path: { job_id: job.id, name: "image" } },
  parseAs: "arrayBuffer",
});
if (output.data === undefined) throw new Error(output.error?.detail);
await writeFile(picture, Buffer.from(output.data));
console.log(JSON.stringify({ id: job.id, state: job.state, rating: job.rating?.score }));
