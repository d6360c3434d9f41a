/** Events of a job (server-sent events). */

const TYPES = ["job.queued", "job.running", "job.stage", "job.succeeded", "job.failed", "job.canceled"];

/**
 * Call `onJob` with a job at each of its events; return a function that stops that.
 *
 * The browser reopens a stream that breaks, or that ends after its five minutes, and continues where
 * it was; `onCut` is called then. `onLost` is called when the stream is not reopened (the service
 * refuses it, or has no more events): the caller must then poll.
 */
export function follow(path, { onJob, onCut, onLost }) {
  const source = new EventSource(path);
  const deliver = (event) => onJob(JSON.parse(event.data).data);
  for (const type of TYPES) source.addEventListener(type, deliver);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) onLost();
    else onCut();
  });
  return () => source.close();
}
