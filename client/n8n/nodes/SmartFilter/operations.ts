import {
  type IDataObject,
  type IExecuteFunctions,
  type IHttpRequestOptions,
  type IN8nHttpFullResponse,
  type INodeExecutionData,
  type JsonObject,
  NodeApiError,
  NodeOperationError,
} from 'n8n-workflow';

// Below the limit of the service (60), and the idle timeout of proxies.
const LONG_POLL_SECONDS = 25;
// Time for an upload of 40 MB, or a long poll.
const REQUEST_SECONDS = 120;
const FIRST_ERROR = 400;

/** Submit a photo; return its job, which is queued. */
export async function submit(this: IExecuteFunctions, index: number): Promise<INodeExecutionData> {
  const given = this.getNodeParameter('options', index) as IDataObject;
  const { recipe, strokes, ...options } = given;
  const body: IDataObject = {
    recipe: {
      background: this.getNodeParameter('background', index),
      outputs: this.getNodeParameter('outputs', index),
      ...options,
      ...(parseJson.call(this, 'Other Recipe Fields', recipe ?? {}, index) as IDataObject),
    },
  };
  if (strokes) body.strokes = parseJson.call(this, 'Strokes', strokes, index);
  if (this.getNodeParameter('source', index) === 'url') {
    body.photo_url = this.getNodeParameter('photoUrl', index);
  } else {
    const field = this.getNodeParameter('binaryPropertyName', index) as string;
    this.helpers.assertBinaryData(index, field);
    const photo = await this.helpers.getBinaryDataBuffer(index, field);
    body.photo_base64 = photo.toString('base64');
  }
  const answer = await request.call(this, index, { method: 'POST', url: '/v1/jobs', body });
  return { json: answer.body as IDataObject };
}

/** Return a job as it is now. */
export async function get(this: IExecuteFunctions, index: number): Promise<INodeExecutionData> {
  return { json: await getJob.call(this, index) };
}

/** Wait for the end of a job; raise an error unless it has succeeded in time. */
export async function wait(this: IExecuteFunctions, index: number): Promise<INodeExecutionData> {
  const timeout = this.getNodeParameter('timeout', index) as number;
  const deadline = Date.now() + timeout * 1000;
  for (;;) {
    const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
    const prefer = `wait=${Math.min(LONG_POLL_SECONDS, left)}`;
    const job = await getJob.call(this, index, { Prefer: prefer });
    if (job.state === 'succeeded') return { json: job };
    if (job.finished_at !== null) {
      const { detail, code, remedy } = (job.error ?? {}) as IDataObject;
      const message = `Job ${job.id} ${job.state}: ${detail ?? 'no reason'}`;
      throw new NodeOperationError(this.getNode(), message, {
        itemIndex: index,
        description: code === undefined ? undefined : `${remedy} Error code: ${code}`,
      });
    }
    if (left === 0) {
      const message = `Job ${job.id} has not finished within ${timeout} seconds`;
      throw new NodeOperationError(this.getNode(), message, { itemIndex: index });
    }
  }
}

/** Return an output of a job as a binary file. */
export async function download(this: IExecuteFunctions, index: number): Promise<INodeExecutionData> {
  const field = this.getNodeParameter('binaryPropertyName', index) as string;
  const output = this.getNodeParameter('output', index) as string;
  const url = `${jobPath.call(this, index)}/outputs/${output}`;
  const answer = await request.call(this, index, { url, encoding: 'arraybuffer' });
  const type = String(answer.headers['content-type']);
  const suffix = type.split('/').at(-1)?.replace('jpeg', 'jpg');
  const content = Buffer.from(answer.body as ArrayBuffer);
  const file = await this.helpers.prepareBinaryData(content, `${output}.${suffix}`, type);
  return { json: { ...this.getInputData()[index]?.json }, binary: { [field]: file } };
}

async function getJob(
  this: IExecuteFunctions,
  index: number,
  headers: IDataObject = {},
): Promise<IDataObject> {
  const answer = await request.call(this, index, { url: jobPath.call(this, index), headers });
  return answer.body as IDataObject;
}

function jobPath(this: IExecuteFunctions, index: number): string {
  const id = String(this.getNodeParameter('jobId', index)).trim();
  if (!id) throw new NodeOperationError(this.getNode(), 'Job ID is empty', { itemIndex: index });
  return `/v1/jobs/${encodeURIComponent(id)}`;
}

/** Return a JSON object, or a list for strokes, which can be given as a text. */
function parseJson(
  this: IExecuteFunctions,
  field: 'Other Recipe Fields' | 'Strokes',
  given: unknown,
  index: number,
): IDataObject[string] {
  const isList = field === 'Strokes';
  let value: unknown = given;
  try {
    if (typeof given === 'string') value = JSON.parse(given || (isList ? '[]' : '{}'));
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) !== isList) {
    const message = `${field} is not a JSON ${isList ? 'list' : 'object'}`;
    throw new NodeOperationError(this.getNode(), message, { itemIndex: index });
  }
  return value as IDataObject[string];
}

/** Send a request with the credentials; raise an error with the reason that the service gives. */
async function request(
  this: IExecuteFunctions,
  index: number,
  options: IHttpRequestOptions,
): Promise<IN8nHttpFullResponse> {
  const { baseUrl } = await this.getCredentials('smartFilterApi', index);
  let answer: IN8nHttpFullResponse;
  try {
    answer = await this.helpers.httpRequestWithAuthentication.call(this, 'smartFilterApi', {
      ...options,
      baseURL: String(baseUrl),
      timeout: REQUEST_SECONDS * 1000,
      returnFullResponse: true,
      ignoreHttpStatusErrors: true,
    });
  } catch (error) {
    throw new NodeApiError(this.getNode(), error as JsonObject, { itemIndex: index });
  }
  if (answer.statusCode < FIRST_ERROR) return answer;
  const problem = parseProblem(answer.body);
  throw new NodeApiError(this.getNode(), problem, {
    itemIndex: index,
    httpCode: String(answer.statusCode),
    message: String(problem.detail ?? `The service answers HTTP ${answer.statusCode}`),
    description: problem.remedy === undefined ? undefined : String(problem.remedy),
  });
}

/** Return a problem document (RFC 9457); {} for other bodies. */
function parseProblem(body: unknown): JsonObject {
  try {
    const text = Buffer.isBuffer(body) ? body.toString() : body;
    const problem = typeof text === 'string' ? JSON.parse(text) : text;
    return typeof problem === 'object' && problem !== null ? problem : {};
  } catch {
    return {};
  }
}
