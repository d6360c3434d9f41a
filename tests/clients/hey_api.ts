// Submits a photo with a recipe, waits for its job and downloads the picture: @hey-api/openapi-ts.
import { readFile, writeFile } from "node:fs/promises";

import { client } from "./generated/hey_api/client.gen.js";
import { getJob, getOutput, submitJob, type Job, type Recipe } from "./generated/hey_api/index.js";

const [url = "", key = "", photo = "", picture = ""] = process.argv.slice(2);
client.setConfig({ baseUrl: url, auth: key });

const recipe: Recipe = {
  background: "color:teal",
  outputs: ["image", "rating"],
  format: "png",
  crop: null,
  filters: [{ name: "grade", params: { strength: 0.3 } }],
  segmentation: { model: "auto" },
  metadata: { order: "17" },
};
const submitted = await submitJob({
  body: { photo_base64: await readFile(photo, "base64"), photo_url: null, recipe },
  throwOnError: true,
});

let job: Job = submitted.data;
while (job.finished_at === null) {
  const answer = await getJob({
    path: { job_id: job.id },
    headers: { Prefer: "wait=20" },
    throwOnError: true,
  });
  job = answer.data;
}

const output = await getOutput({
  path: { job_id: job.id, name: "image" },
  parseAs: "arrayBuffer",
  throwOnError: true,
});
await writeFile(picture, Buffer.from(output.data as ArrayBuffer));
console.log(JSON.stringify({ id: job.id, state: job.state, rating: job.rating?.score }));
