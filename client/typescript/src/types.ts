/** Short names of the schemas that programs use most. */
import type { components } from "./schema.js";

export type Job = components["schemas"]["Job"];
export type JobEvent = components["schemas"]["JobEvent"];
export type Output = components["schemas"]["Output"];
export type Problem = components["schemas"]["Problem"];
export type ProblemError = components["schemas"]["ProblemError"];
export type Recipe = components["schemas"]["Recipe"];
export type Stroke = components["schemas"]["Stroke"];
export type Upload = components["schemas"]["Upload"];
export type UploadRequest = components["schemas"]["UploadRequest"];
