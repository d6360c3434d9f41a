// Page 1: submits the chosen photo with a device token, and goes on to page 2.
import { SmartFilter } from "smart-filter-client";

import type { Access } from "./server.js";

const form = document.querySelector("form") as HTMLFormElement;
const chooser = form.querySelector("[type=file]") as HTMLInputElement;
const preview = form.querySelector("img") as HTMLImageElement;
const label = form.querySelector(".photo span") as HTMLElement;
const button = form.querySelector("button") as HTMLButtonElement;
const progress = form.querySelector("progress") as HTMLProgressElement;
const alert = form.querySelector("[role=alert]") as HTMLElement;

async function requestAccess(): Promise<Access> {
  const response = await fetch("/access", { method: "POST" });
  if (!response.ok) throw new Error("The app cannot be reached. Try again later.");
  return (await response.json()) as Access;
}

async function submit(photo: File, background: string): Promise<void> {
  const access = await requestAccess();
  progress.hidden = false;
  const job = await new SmartFilter(access).submit(photo, {
    recipe: { background },
    onUploadProgress: ({ sentBytes, totalBytes }) => {
      progress.value = sentBytes / totalBytes;
    },
  });
  // For page 2, also when it is loaded again: the token reads the job that it submitted.
  sessionStorage.setItem(job.id, JSON.stringify(access));
  location.assign(`/result?job=${job.id}`);
}

chooser.addEventListener("change", () => {
  const [photo] = chooser.files ?? [];
  URL.revokeObjectURL(preview.src);
  preview.src = photo === undefined ? "" : URL.createObjectURL(photo);
  label.textContent = photo?.name ?? "Choose a photo, or drop one here";
  alert.textContent = "";
});

preview.addEventListener("load", () => {
  preview.hidden = false;
});

// The service can read photos that the browser cannot show.
preview.addEventListener("error", () => {
  preview.hidden = true;
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  button.disabled = true;
  alert.textContent = "";
  submit(fields.get("photo") as File, fields.get("background") as string)
    .catch((error: unknown) => {
      alert.textContent = error instanceof Error ? error.message : String(error);
    })
    .finally(() => {
      button.disabled = false;
      progress.hidden = true;
    });
});
