// Reads event streams of responses, one JSON string per line of the file named, through the official Node SDK; prints what its
// accumulator makes of each as one line: {"response": …} or {"error": …}.
const fs = require('node:fs');
const OpenAI = require('openai').OpenAI;

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

async function main() {
  for (const line of fs.readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean)) {
    const client = new OpenAI({ baseURL: 'http://unused.invalid/v1', apiKey: 'sk-test', maxRetries: 0, fetch: async () => serve(JSON.parse(line)) });
    try {
      const response = await client.responses.stream({ model: 'm', input: 'Hi' }).finalResponse();
      console.log(JSON.stringify({ response }));
    } catch (error) {
      console.log(JSON.stringify({ error: error.message, code: error.code ?? null }));
    }
  }
}

main();
