// The official Node SDK against an OpenAI-compatible server; the same environment as conftest.py describes.
// CommonJS, because only `require` finds the packages of the cache through NODE_PATH.
const assert = require('node:assert/strict');
const OpenAI = require('openai').OpenAI;
const { bare: test, failures: gateway } = require('./cases.cjs');
const { APIError, APIConnectionTimeoutError, BadRequestError, InternalServerError, NotFoundError, RateLimitError } = require('openai');

const baseURL = process.env.CROSSFADE_BASE_URL;
const model = process.env.CROSSFADE_MODEL ?? 'chat';
const embedding = process.env.CROSSFADE_EMBEDDING_MODEL ?? 'embed';
const make = (options) => new OpenAI({ baseURL, apiKey: 'sk-test', maxRetries: 0, timeout: 30_000, ...options });
const client = make();
const embeddings = make({ baseURL: process.env.CROSSFADE_EMBEDDING_BASE_URL ?? baseURL });

const messages = [{ role: 'system', content: 'Answer briefly.' }, { role: 'user', content: 'Where is my order?' }];
const fixed = { model, messages, max_tokens: 24, temperature: 0 };
const tool = { type: 'function', function: { name: 'get_order', parameters: { type: 'object', properties: { order: { type: 'string' } } } } };

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');

test('plain chat answers with usage', async () => {
  const answer = await client.chat.completions.create(fixed);
  assert.ok(answer.choices[0].message.content);
  assert.ok(['stop', 'length'].includes(answer.choices[0].finish_reason));
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test('streamed chat adds up to the plain answer', async () => {
  const plain = await client.chat.completions.create(fixed);
  const chunks = await collect(await client.chat.completions.create({ ...fixed, stream: true }));
  assert.equal(textOf(chunks), plain.choices[0].message.content);
  assert.equal(chunks.filter((chunk) => chunk.choices[0]?.finish_reason).length, 1);
  assert.ok(chunks.every((chunk) => !chunk.usage && chunk.choices.length > 0), 'usage that nobody asked for');
});

test('a stream with include_usage ends with one usage chunk', async () => {
  const chunks = await collect(await client.chat.completions.create({ ...fixed, stream: true, stream_options: { include_usage: true } }));
  assert.deepEqual(chunks.filter((chunk) => chunk.usage), chunks.slice(-1));
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
});

test('the stream helper accumulates', async () => {
  const stream = client.chat.completions.stream({ model, messages, max_tokens: 1000 });
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, 'stop');
});

test('the tools field is accepted, plain and streamed', async () => {
  const plain = await client.chat.completions.create({ ...fixed, tools: [tool], tool_choice: 'auto' });
  assert.ok(plain.choices[0].message.content || plain.choices[0].message.tool_calls);
  const chunks = await collect(await client.chat.completions.create({ ...fixed, tools: [tool], stream: true }));
  assert.ok(chunks.some((chunk) => chunk.choices[0]?.finish_reason));
});

test('a JSON schema is enforced', async () => {
  const schema = { type: 'object', additionalProperties: false, required: ['urgent'], properties: { urgent: { type: 'boolean' } } };
  const response_format = { type: 'json_schema', json_schema: { name: 'ticket', strict: true, schema } };
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 200, response_format });
  assert.deepEqual(Object.keys(JSON.parse(answer.choices[0].message.content)), ['urgent']);
});

test('embeddings are the same numbers as floats and in the default base64', async () => {
  const [floats, byDefault] = await Promise.all([
    embeddings.embeddings.create({ model: embedding, input: ['one', 'two'], encoding_format: 'float' }),
    embeddings.embeddings.create({ model: embedding, input: ['one', 'two'] }),
  ]);
  assert.equal(floats.data.length, 2);
  floats.data[0].embedding.forEach((x, n) => assert.ok(Math.abs(x - byDefault.data[0].embedding[n]) < 1e-6));
});

test('models are listed', async () => {
  const ids = (await collect(await client.models.list())).map((entry) => entry.id);
  assert.ok(ids.includes(model));
});

test('a client timeout raises a timeout', async () => {
  await assert.rejects(make({ timeout: 1 }).chat.completions.create({ ...fixed, max_tokens: 500 }), APIConnectionTimeoutError);
});

gateway('an unknown model is not found', async () => {
  await assert.rejects(client.chat.completions.create({ ...fixed, model: 'no-such-model' }), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, 'model_not_found');
    assert.equal(error.param, 'model');
    assert.equal(error.type, 'invalid_request_error');
    assert.ok(error.requestID);
    return true;
  });
});

gateway('a request without a model is a bad request', async () => {
  await assert.rejects(client.chat.completions.create({ messages }), BadRequestError);
});

gateway('every answer names its exchange', async () => {
  const { response, request_id } = await client.chat.completions.create({ model: 'instant', messages }).withResponse();
  assert.ok(response.headers.get('x-crossfade-exchange-id'));
  assert.equal(response.headers.get('x-request-id'), request_id);
});

gateway('tool calls arrive whole', async () => {
  const final = await client.chat.completions.stream({ model: 'tools', messages }).finalChatCompletion();
  const call = final.choices[0].message.tool_calls[0].function;
  assert.deepEqual([call.name, JSON.parse(call.arguments)], ['get_order', { order: 'A-17', lines: [1, 2] }]);
});

for (const name of ['error-event', 'cut', 'stall']) {
  gateway(`an upstream with behaviour "${name}" in the middle of a stream raises`, async () => {
    let text = '';
    await assert.rejects(async () => {
      for await (const chunk of await client.chat.completions.create({ model: name, messages, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? '';
      }
    }, APIError);
    assert.ok(text.length > 0, 'what was said before the failure is delivered');
  });
}

gateway('an upstream error keeps its meaning', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'error-event', messages }), InternalServerError);
  await assert.rejects(client.chat.completions.create({ model: 'busy', messages }), RateLimitError);
});

gateway('an aborted stream ends at once and the next request works', async () => {
  const stream = await client.chat.completions.create({ model: 'stall', messages, stream: true });
  for await (const _ of stream) break;
  assert.ok((await client.chat.completions.create({ model: 'instant', messages })).choices[0].message.content);
});
