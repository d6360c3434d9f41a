// Page 2: waits for the job and shows its picture through the signed link, which needs no token.
import { SmartFilter, type Job } from "smart-filter-client";

import type { Access } from "./server.js";

const status = document.querySelector("[role=status]") as HTMLElement;
const progress = document.querySelector("progress") as HTMLProgressElement;
const picture = document.querySelector("img") as HTMLImageElement;
const save = document.querySelector(".button") as HTMLAnchorElement;

async function show(): Promise<void> {
  const id = new URLSearchParams(location.search).get("job") ?? "";
  const access = sessionStorage.getItem(id);
  if (access === null) throw new Error("This tab did not submit the photo.");
  const client = new SmartFilter(JSON.parse(access) as Access);
  const job = await client.wait(id, { onProgress: showProgress });
  const link = job.output_links.image;
  if (link === undefined) throw new Error(job.error?.detail ?? `The job was ${job.state}.`);
  picture.src = link;
  picture.hidden = false;
  status.textContent = "Done";
  const saved = await client.job(id, { download: "picture" });
  save.href = saved.output_links.image ?? "";
  save.hidden = false;
}

function showProgress({ state, stages }: Job): void {
  progress.max = stages.length;
  progress.value = stages.filter((stage) => stage.state === "succeeded").length;
  status.textContent = state === "queued" ? "Waiting for a worker …" : "Working on it …";
}

show()
  .catch((error: unknown) => {
    status.textContent = error instanceof Error ? error.message : String(error);
  })
  .finally(() => {
    progress.hidden = true;
  });
