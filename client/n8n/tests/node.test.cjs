// Runs the compiled node against a service. n8n's own code fills in the parameters; its HTTP helper
// is replaced by fetch. SMART_FILTER_URL, SMART_FILTER_API_KEY and PHOTO name what is used.

const assert = require('node:assert/strict');
const { readFile } = require('node:fs/promises');
const { test } = require('node:test');

const { NodeHelpers } = require('n8n-workflow');

const { SmartFilterApi } = require('../dist/credentials/SmartFilterApi.credentials.js');
const { SmartFilter } = require('../dist/nodes/SmartFilter/SmartFilter.node.js');

const { PHOTO, SMART_FILTER_API_KEY: apiKey, SMART_FILTER_URL: baseUrl } = process.env;
const FROM_ITEM = '={{ $json.id }}';
const { description } = new SmartFilter();

async function photoItem() {
  return { json: {}, binary: { data: { data: await readFile(PHOTO), mimeType: 'image/png' } } };
}

/** Execute the node; return its items. */
async function run(parameters, items, { credentials = { apiKey, baseUrl }, goesOn = false } = {}) {
  const node = { name: 'Smart Filter', type: 'smartFilter', typeVersion: 1, parameters };
  const filled = NodeHelpers.getNodeParameters(
    description.properties, parameters, true, false, node, description,
  );
  const functions = {
    continueOnFail: () => goesOn,
    getCredentials: async () => credentials,
    getInputData: () => items,
    getNode: () => node,
    getNodeParameter: (name, index) =>
      filled[name] === FROM_ITEM ? items[index].json.id : filled[name],
    helpers: {
      assertBinaryData: (index, field) => items[index].binary[field],
      getBinaryDataBuffer: async (index, field) => items[index].binary[field].data,
      httpRequestWithAuthentication: requestWith(credentials),
      prepareBinaryData: async (data, fileName, mimeType) => ({ data, fileName, mimeType }),
    },
  };
  const [made] = await new SmartFilter().execute.call(functions);
  return made;
}

function requestWith(credentials) {
  const { Authorization } = new SmartFilterApi().authenticate.properties.headers;
  const authorization = Authorization.slice(1).replace('{{$credentials.apiKey}}', credentials.apiKey);
  return async (type, { baseURL, body, encoding, headers, method, url }) => {
    assert.equal(type, new SmartFilterApi().name);
    const answer = await fetch(baseURL + url, {
      body: body && JSON.stringify(body),
      headers: { ...headers, authorization, 'content-type': 'application/json' },
      method,
    });
    const content = Buffer.from(await answer.arrayBuffer());
    return {
      body: encoding === 'arraybuffer' ? content : JSON.parse(content),
      headers: Object.fromEntries(answer.headers),
      statusCode: answer.status,
    };
  };
}

test('a photo is submitted, waited for and downloaded', async () => {
  const options = { crop: 'faces', format: 'png', recipe: '{"metadata": {"order": "17"}}' };
  const wish = { operation: 'submit', background: 'color:teal', options };

  const submitted = await run(wish, [await photoItem()]);
  const waited = await run({ operation: 'wait' }, submitted);
  const shown = await run({ operation: 'get' }, submitted);
  const [{ binary, json, pairedItem }] = await run({ operation: 'download' }, waited);

  const [{ json: job }] = waited;
  assert.deepEqual([job.state, job.metadata], ['succeeded', { order: '17' }]);
  assert.equal(job.background.kind, 'color');
  assert.equal(shown[0].json.id, job.id);
  assert.deepEqual([binary.data.fileName, binary.data.mimeType], ['image.png', 'image/png']);
  assert.equal(binary.data.data.subarray(1, 4).toString(), 'PNG');
  assert.deepEqual([json.id, pairedItem], [job.id, { item: 0 }]);
});

test('strokes are sent with the photo', async () => {
  const strokes = '[{"points": [[20, 20], [80, 20]], "width": 24, "keep": true}]';

  const submitted = await run({ operation: 'submit', options: { strokes } }, [await photoItem()]);
  const [{ json: job }] = await run({ operation: 'wait' }, submitted);

  assert.equal(job.state, 'succeeded');
});

test('a photo is submitted by its address, and its failure is the error of wait', async () => {
  const wish = { operation: 'submit', source: 'url', photoUrl: 'https://none.invalid/none.jpg' };

  const submitted = await run(wish, [{ json: {} }]);
  const waiting = run({ operation: 'wait' }, submitted);

  await assert.rejects(waiting, { name: 'NodeOperationError', message: /^Job .+ failed: / });
});

test('a wait that takes too long is an error', async () => {
  const runAt = new Date(Date.now() + 3_600_000).toISOString();
  const wish = { operation: 'submit', options: { recipe: { run_at: runAt } } };

  const submitted = await run(wish, [await photoItem()]);

  await assert.rejects(run({ operation: 'wait', timeout: 1 }, submitted), {
    message: /has not finished within 1 seconds/,
  });
});

test('errors say what the service says', async () => {
  const photo = [await photoItem()];
  const text = [{ json: {}, binary: { data: { data: Buffer.from('no picture') } } }];
  const submit = { operation: 'submit' };
  const refused = [
    [{ ...submit, background: 'colour:red' }, photo, {}, /background/],
    [{ ...submit, options: { recipe: '{"sise": "10x10"}' } }, photo, {}, /sise/],
    [{ ...submit, options: { recipe: '[1]' } }, photo, {}, /not a JSON object/],
    [{ ...submit, options: { recipe: '{' } }, photo, {}, /not a JSON object/],
    [{ ...submit, options: { strokes: '{}' } }, photo, {}, /Strokes is not a JSON list/],
    [{ ...submit, options: { strokes: '[{"points": []}]' } }, photo, {}, /strokes/],
    [submit, text, {}, /picture/],
    [submit, photo, { credentials: { apiKey: 'sf_wrong', baseUrl } }, /key/],
    [{ operation: 'get', jobId: 'none' }, photo, {}, /job/],
    [{ operation: 'get', jobId: ' ' }, photo, {}, /Job ID is empty/],
    [{ operation: 'download', jobId: '../jobs' }, photo, {}, /./],
    [submit, photo, { credentials: { apiKey, baseUrl: 'http://127.0.0.1:1' } }, /./],
  ];

  for (const [parameters, items, options, message] of refused) {
    await assert.rejects(run(parameters, items, options), { message });
  }
});

test('with "continue on fail" an error becomes an item, and the others run', async () => {
  const items = [{ json: { id: 'none' } }, ...(await run({ operation: 'submit' }, [await photoItem()]))];

  const [failed, found] = await run({ operation: 'get' }, items, { goesOn: true });

  assert.match(failed.json.error, /job/);
  assert.deepEqual([found.json.id, found.pairedItem], [items[1].json.id, { item: 1 }]);
});
