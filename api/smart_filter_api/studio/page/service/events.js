/** What happens to a job, as the service tells it (server-sent events). */

const TYPES = ["job.queued", "job.running", "job.stage", "job.succeeded", "job.failed", "job.canceled"];

/**
 * Call `onJob` with a job whenever anything happens to it; return a function that stops that.
 *
 * The browser comes again by itself when the stream is cut, and takes up where it was. `onLost` is
 * called when it does not (the service is away, or refuses): then somebody has to ask.
 */
export function follow(path, { onJob, onLost }) {
  const source = new EventSource(path);
  const told = (event) => onJob(JSON.parse(event.data).data);
  for (const type of TYPES) source.addEventListener(type, told);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) onLost();
  });
  return () => source.close();
}
