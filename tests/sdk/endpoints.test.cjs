// The official Node SDKs against the gateway with the scripted vendor behind it: every endpoint, Responses and Messages. The
// same environment as conftest.py describes; nothing here runs against a bare server.
const assert = require('node:assert/strict');
const { OpenAI, AzureOpenAI, toFile, BadRequestError, NotFoundError } = require('openai');
const Anthropic = require('@anthropic-ai/sdk');
const { zodResponseFormat, zodTextFormat } = require('openai/helpers/zod');
const { z } = require('zod');
const { baseURL, keys, gateway, own, translated } = require('./cases.cjs');

const host = baseURL.replace(/\/v1$/, '');
const client = new OpenAI({ baseURL, apiKey: keys.openai, maxRetries: 0, timeout: 30_000 });
const claude = new Anthropic({ baseURL: host, apiKey: keys.anthropic, maxRetries: 0, timeout: 30_000 });

const TEXT = 'Your order is on its way.';
const messages = [{ role: 'user', content: 'Where is my order?' }];
const parameters = { type: 'object', properties: { order: { type: 'string' } } };

async function collect(stream) {
  const all = [];
  for await (const one of stream) all.push(one);
  return all;
}

gateway('completions, moderations and embeddings', async () => {
  assert.equal((await client.completions.create({ model: 'vendor', prompt: 'once' })).choices[0].text, TEXT);
  const chunks = await collect(await client.completions.create({ model: 'vendor', prompt: 'once', stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join(''), TEXT);
  assert.equal((await client.moderations.create({ input: 'x' })).results[0].flagged, false);
  assert.equal((await client.embeddings.create({ model: 'vendor', input: [[1, 2], [3]] })).data.length, 2);
});

gateway('pictures and sound', async () => {
  assert.ok((await client.images.generate({ model: 'vendor', prompt: 'a cat' })).data[0].b64_json);
  const image = await toFile(Buffer.from('PNG'), 'a.png', { type: 'image/png' });
  assert.ok((await client.images.edit({ model: 'vendor', image, prompt: 'a dog' })).data[0].b64_json);
  const speech = await client.audio.speech.create({ model: 'vendor', voice: 'alloy', input: 'hello' });
  assert.equal((await speech.arrayBuffer()).byteLength, 2052);
  const file = await toFile(Buffer.from('RIFF'), 'a.wav');
  assert.equal((await client.audio.transcriptions.create({ model: 'vendor', file })).text, TEXT);
  const events = await collect(await client.audio.transcriptions.create({ model: 'vendor', file, stream: true }));
  assert.equal(events.at(-1).text, TEXT);
});

gateway('files and batches are kept by the provider', async () => {
  const file = await client.files.create({ file: await toFile(Buffer.from('abc'), 'in.jsonl'), purpose: 'batch' });
  assert.equal(file.bytes, 3);
  assert.equal((await collect(client.files.list())).length, 1);
  assert.equal((await (await client.files.content('file-1')).arrayBuffer()).byteLength, 10);
  const batch = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
  assert.equal((await client.batches.cancel(batch.id)).status, 'cancelling');
});

own('what nobody keeps is not found', async () => {
  await assert.rejects(client.fineTuning.jobs.list(), (error) => error instanceof NotFoundError && error.code === 'not_passed_on');
});

const azure = new AzureOpenAI({ endpoint: host, apiKey: keys.azure, apiVersion: '2025-04-01-preview', maxRetries: 0 });

for (const model of ['vendor', 'azure', 'anthropic', 'chat-only']) {
  (model === 'azure' ? gateway : translated)(`an application on Azure is served by ${model}`, async () => {
    assert.equal((await azure.chat.completions.create({ model, messages })).choices[0].message.content, TEXT);
    const chunks = await collect(await azure.chat.completions.create({ model, messages, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), TEXT);
  });
}

gateway('embeddings of Azure for an application on Azure', async () => {
  assert.ok((await azure.embeddings.create({ model: 'azure', input: 'x' })).data.length);
});

translated('chat, embeddings and pictures of Azure for an application of OpenAI', async () => {
  assert.equal((await client.chat.completions.create({ model: 'azure', messages })).choices[0].message.content, TEXT);
  assert.ok((await client.embeddings.create({ model: 'azure', input: 'x' })).data.length);
  assert.ok((await client.images.generate({ model: 'azure', prompt: 'a cat' })).data[0].b64_json);
});

for (const model of ['vendor', 'chat-only', 'anthropic']) {
  const as = (path) => ({ vendor: { responses: gateway, messages: translated, chat: gateway }, 'chat-only': { responses: translated, messages: translated, chat: gateway },
    anthropic: { responses: translated, messages: gateway, chat: translated } })[model][path];

  as('responses')(`responses from ${model}`, async () => {
    const plain = await client.responses.create({ model, input: 'Where?' });
    assert.equal(plain.output_text, TEXT);
    const events = await collect(await client.responses.create({ model, input: 'Where?', stream: true }));
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, place) => place));
    assert.equal(events.at(-1).type, 'response.completed');
    const final = await client.responses.stream({ model, input: 'Where?' }).finalResponse();
    assert.equal(final.output_text, TEXT);
  });

  as('responses')(`a tool call by responses from ${model}`, async () => {
    const tools = [{ type: 'function', name: 'get_order', parameters, strict: false }];
    const called = (await client.responses.create({ model, input: 'Where?', tools })).output.find((item) => item.type === 'function_call');
    assert.deepEqual(JSON.parse(called.arguments), { order: 'A-17' });
    const back = [{ role: 'user', content: 'Where?' }, { type: 'function_call', call_id: called.call_id, name: called.name, arguments: called.arguments },
      { type: 'function_call_output', call_id: called.call_id, output: 'shipped' }];
    assert.equal((await client.responses.create({ model, input: back, tools })).output_text, TEXT);
  });

  as('responses')(`a parsed answer by responses from ${model}`, async () => {
    const format = zodTextFormat(z.object({ category: z.string(), urgent: z.boolean() }), 'ticket');
    const parsed = await client.responses.parse({ model, input: 'Where?', text: { format } });
    assert.deepEqual(parsed.output_parsed, { category: 'refund', urgent: true });
  });

  as('responses')(`an error by responses from ${model}`, async () => {
    await assert.rejects(client.responses.create({ model, input: 'fail=400' }), BadRequestError);
  });

  as('messages')(`messages from ${model}`, async () => {
    const plain = await claude.messages.create({ model, max_tokens: 99, messages });
    assert.equal(plain.content[0].text, TEXT);
    assert.equal(plain.stop_reason, 'end_turn');
    const final = await claude.messages.stream({ model, max_tokens: 99, messages }).finalMessage();
    assert.equal(final.content[0].text, TEXT);
  });

  as('messages')(`a tool call by messages from ${model}`, async () => {
    const tools = [{ name: 'get_order', input_schema: parameters }];
    const called = await claude.messages.stream({ model, max_tokens: 99, messages, tools }).finalMessage();
    assert.deepEqual(called.content.find((block) => block.type === 'tool_use').input, { order: 'A-17' });
  });

  as('messages')(`an error by messages from ${model}`, async () => {
    const failing = [{ role: 'user', content: 'fail=400' }];
    await assert.rejects(claude.messages.create({ model, max_tokens: 9, messages: failing }), Anthropic.BadRequestError);
  });

  as('chat')(`chat from ${model}`, async () => {
    const final = await client.chat.completions.stream({ model, messages }).finalChatCompletion();
    assert.equal(final.choices[0].message.content, TEXT);
    assert.equal((await client.chat.completions.create({ model, messages })).usage.total_tokens, 15);
  });

  as('chat')(`a parsed answer by chat from ${model}`, async () => {
    const format = zodResponseFormat(z.object({ category: z.string(), urgent: z.boolean() }), 'ticket');
    const parsed = await client.chat.completions.parse({ model, messages, response_format: format });
    assert.deepEqual(parsed.choices[0].message.parsed, { category: 'refund', urgent: true });
  });

  as('chat')(`a tool loop by chat from ${model}`, async () => {
    const tools = [{ type: 'function', function: { name: 'get_order', parameters } }];
    const { message } = (await client.chat.completions.create({ model, messages, tools })).choices[0];
    assert.ok(message.tool_calls.every((call) => JSON.parse(call.function.arguments).order === 'A-17'));
    const results = message.tool_calls.map((call) => ({ role: 'tool', tool_call_id: call.id, content: 'shipped' }));
    assert.equal((await client.chat.completions.create({ model, messages: [...messages, message, ...results], tools })).choices[0].message.content, TEXT);
  });
}
