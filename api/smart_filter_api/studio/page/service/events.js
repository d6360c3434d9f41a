/** What happens to a job, as the service tells it (server-sent events). */

const TYPES = ["job.queued", "job.running", "job.stage", "job.succeeded", "job.failed", "job.canceled"];

/**
 * Call `onJob` with a job whenever anything happens to it; return a function that stops that.
 *
 * A stream that is cut, or that ends by itself after five minutes, is opened again by the browser
 * and goes on where it was: `onCut` is called then. `onLost` is called when it is not opened again
 * (the service refuses it, or has no more to tell): then somebody has to ask.
 */
export function follow(path, { onJob, onCut, onLost }) {
  const source = new EventSource(path);
  const told = (event) => onJob(JSON.parse(event.data).data);
  for (const type of TYPES) source.addEventListener(type, told);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) onLost();
    else onCut();
  });
  return () => source.close();
}
