// Reads streams, one JSON object {"sdk": "anthropic" | "openai", "body": …} per line of the file named, through the official Node
// SDKs; prints what the SDK's accumulator makes of each as one line: {"answer": …, "blocks": […]} or {"error": …}.
const fs = require('node:fs');
const { Anthropic } = require('@anthropic-ai/sdk');
const { OpenAI } = require('openai');

function serve(body) {
  const bytes = Buffer.from(body);
  const stream = new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 97) controller.enqueue(bytes.subarray(at, at + 97));
      controller.close();
    },
  });
  return new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
}

async function read({ sdk, body }) {
  const options = { apiKey: 'sk-test', maxRetries: 0, fetch: async () => serve(body) };
  if (sdk === 'openai') {
    const client = new OpenAI({ baseURL: 'http://unused.invalid/v1', ...options });
    return { answer: await client.chat.completions.stream({ model: 'm', messages: [] }).finalChatCompletion() };
  }
  const client = new Anthropic({ baseURL: 'http://unused.invalid', ...options });
  const stream = client.messages.stream({ model: 'm', max_tokens: 9, messages: [] });
  const blocks = [];     // each as it is when it ends: the SDK takes the last one for the one that ended
  stream.on('contentBlock', (block) => blocks.push(JSON.parse(JSON.stringify(block))));
  return { answer: await stream.finalMessage(), blocks };
}

async function main() {
  for (const line of fs.readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean)) {
    try {
      console.log(JSON.stringify(await read(JSON.parse(line))));
    } catch (error) {
      console.log(JSON.stringify({ error: error.message }));
    }
  }
}

main();
