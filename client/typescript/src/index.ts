/** Client of Smart Filter for Node.js and browsers; webhooks are in `smart-filter-client/webhooks`. */
export {
  SmartFilter,
  type ClientOptions,
  type JobOptions,
  type Photo,
  type SubmitOptions,
  type WaitOptions,
} from "./client.js";
export { SmartFilterError } from "./errors.js";
export {
  putPhoto,
  type Fetch,
  type OnUploadProgress,
  type UploadOptions,
  type UploadProgress,
} from "./uploads.js";
export type { Job, JobEvent, Output, Recipe, Stroke, Upload } from "./types.js";
export type { components, operations, paths } from "./schema.js";
