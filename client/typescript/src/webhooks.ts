/** Verify the requests that webhooks receive (Standard Webhooks). */
import { Webhook } from "standardwebhooks";

import type { components } from "./schema.js";

export { WebhookVerificationError } from "standardwebhooks";

/** The end of a job or a batch, or a test. */
export type WebhookEvent =
  | {
      type: "job.succeeded" | "job.failed" | "job.canceled";
      timestamp: string;
      data: components["schemas"]["Job"];
    }
  | { type: "batch.finished"; timestamp: string; data: components["schemas"]["Batch"] }
  | { type: "webhook.test"; timestamp: string; data: { webhook_id: string } };

/**
 * Verify a request; returns its event.
 *
 * body: the raw body, as it was received.  headers: of `fetch` or of Node.js.  secret: `whsec_…`.
 * Throws WebhookVerificationError when the request was not signed with the secret in the last minutes.
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>,
  secret: string,
): WebhookEvent {
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  const entries = headers instanceof Headers ? [...headers] : Object.entries(headers);
  const plain = entries.map(([name, value]) => [name, String(value ?? "")]);
  return new Webhook(secret).verify(text, Object.fromEntries(plain)) as WebhookEvent;
}
