// The Vercel AI SDK, unmodified: a tool loop and a structured answer, plain and streamed, by each API it speaks. The same environment
// as conftest.py describes. 6.x is the last line of `ai` that runs on Node 20.
const assert = require('node:assert/strict');
const { createOpenAI } = require('@ai-sdk/openai');
const { createOpenAICompatible } = require('@ai-sdk/openai-compatible');
const { generateText, streamText, generateObject, streamObject, Output, embedMany, tool, stepCountIs } = require('ai');
const { z } = require('zod');
const { baseURL, keys, gateway, translated } = require('./cases.cjs');

const TEXT = 'Your order is on its way.';
const openai = createOpenAI({ baseURL, apiKey: keys.openai });
const compatible = createOpenAICompatible({ name: 'crossfade', baseURL, apiKey: keys.openai, supportsStructuredOutputs: true, includeUsage: true });
const schema = z.object({ category: z.string(), urgent: z.boolean() });
const EXPECTED = { category: 'refund', urgent: true };
const once = { maxRetries: 0, prompt: 'Where is order A-17?', system: 'Answer briefly.' };

const applications = {
  'chat of vendor': [gateway, () => openai.chat('vendor')],
  'chat of anthropic': [translated, () => openai.chat('anthropic')],
  'responses of vendor': [gateway, () => openai.responses('vendor')],
  'responses of chat-only': [translated, () => openai.responses('chat-only')],
  'responses of anthropic': [translated, () => openai.responses('anthropic')],
  'compatible with chat-only': [gateway, () => compatible('chat-only')],
  'compatible with anthropic': [translated, () => compatible('anthropic')],
};

// What a stream ends with, or throws: without `onError` this SDK prints a failure and goes on.
async function finished(begin) {
  let failure;
  const result = begin({ onError: ({ error }) => { failure = error; } });
  try {
    for await (const _ of result.fullStream) { /* read to its end */ }
  } catch (error) { failure ??= error; }
  if (failure) throw failure;
  return result;
}

for (const [name, [test, model]] of Object.entries(applications)) {
  const asked = [];
  const tools = { get_order: tool({ description: 'Finds an order.', inputSchema: z.object({ order: z.string() }), execute: async ({ order }) => { asked.push(order); return `${order}: shipped`; } }) };
  const loop = { ...once, tools, stopWhen: stepCountIs(3) };

  test(`vercel: a tool loop, ${name}`, async () => {
    const done = await generateText({ model: model(), ...loop });
    assert.equal(done.text, TEXT);
    assert.equal(done.steps.length, 2);
    assert.equal(done.totalUsage.totalTokens, 30);
    assert.ok(asked.length >= 1 && asked.every((order) => order === 'A-17'));
  });

  test(`vercel: a streamed tool loop, ${name}`, async () => {
    const done = await finished((more) => streamText({ model: model(), ...loop, ...more }));
    assert.equal(await done.text, TEXT);
    assert.equal((await done.steps).length, 2);
    assert.equal((await done.totalUsage).totalTokens, 30);
  });

  test(`vercel: a structured answer, ${name}`, async () => {
    assert.deepEqual((await generateObject({ model: model(), schema, ...once })).object, EXPECTED);
    assert.deepEqual((await generateText({ model: model(), output: Output.object({ schema }), ...once })).output, EXPECTED);
  });

  test(`vercel: a streamed structured answer, ${name}`, async () => {
    const done = await finished((more) => streamObject({ model: model(), schema, ...once, ...more }));
    assert.deepEqual(await done.object, EXPECTED);
  });
}

gateway('vercel: embeddings', async () => {
  const { embeddings } = await embedMany({ model: openai.embedding('vendor'), values: ['one', 'two'] });
  assert.equal(embeddings.length, 2);
});

gateway('vercel: a structured answer of a real server', { real: true }, async () => {
  // Nothing in it is free text, of which a tiny model finds no end.
  const schema = z.object({ category: z.enum(['refund', 'delivery', 'account']), urgent: z.boolean() });
  const model = compatible(process.env.CROSSFADE_MODEL ?? 'chat');
  const { object } = await generateObject({ model, schema, maxOutputTokens: 300, ...once });
  assert.deepEqual(Object.keys(object).sort(), ['category', 'urgent']);
  const done = await finished((more) => streamObject({ model, schema, maxOutputTokens: 300, ...once, ...more }));
  assert.deepEqual(Object.keys(await done.object).sort(), ['category', 'urgent']);
});
