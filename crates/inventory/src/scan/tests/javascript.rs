//! JavaScript: modules that are loaded at run time, the repository's own functions, bodies that are written as JSON.

use super::{check, check_files};

#[test]
fn modules_that_are_loaded_at_run_time() {
    check(
        "a.mjs",
        "async function f() {\n  const { default: Anthropic } = await import('@anthropic-ai/sdk');\n  const anthropic = new Anthropic({ apiKey });\n  \
         await anthropic.messages.create({ model: 'claude-sonnet-4-5', max_tokens: 5 });\n  const { OpenAI } = await import('openai');\n  \
         new OpenAI().responses.create({ model: 'gpt-4o' });\n  const Other = (await import('groq-sdk')).default;\n  const groq = new Other();\n}\n",
        "3 client client anthropic unknown certain
         4 call chat anthropic claude-sonnet-4-5 certain
         6 call responses openai gpt-4o certain
         8 client client groq unknown certain",
    );
}

#[test]
fn a_function_of_the_repository_is_none_of_a_librarys_whatever_it_is_called() {
    check_files(
        &[
            (
                "utils/bedrock.js",
                "const { BedrockRuntimeClient, InvokeModelCommand } = require('@aws-sdk/client-bedrock-runtime');\nconst client = new \
                 BedrockRuntimeClient({});\nconst invokeModel = async (params) => {\n  const res = await client.send(new \
                 InvokeModelCommand(params));\n  return res;\n};\nmodule.exports = { invokeModel };\n",
            ),
            (
                "handler.js",
                "const { invokeModel } = require('./utils/bedrock');\nexports.handler = async () => {\n  return invokeModel({ modelId: 'amazon.titan-text' });\n};\n",
            ),
        ],
        "utils/bedrock.js:2 client client aws-bedrock unknown certain
         utils/bedrock.js:4 call chat aws-bedrock unknown certain",
    );
}

#[test]
fn the_model_of_a_body_that_is_written_as_json() {
    check(
        "a.js",
        "chrome.runtime.onMessage.addListener((request) => {\n  fetch('https://api.anthropic.com/v1/messages', {\n    method: 'POST',\n    body: \
         JSON.stringify({ model: 'claude-haiku-4-5', messages: [] })\n  });\n});\nlet data = JSON.stringify({ model: 'deepseek-chat', messages: [] });\n\
         axios({ method: 'post', url: 'https://api.deepseek.com/chat/completions', data: data });\n",
        "2 http chat anthropic claude-haiku-4-5 certain
         8 http chat deepseek deepseek-chat certain",
    );
}

#[test]
fn an_address_that_is_said_again_where_something_went_wrong_is_no_other_place() {
    check(
        "a.ts",
        "async function f() {\n  try {\n    await axios.post('https://api.perplexity.ai/chat/completions', body);\n  } catch (error) {\n    \
         const details = { query, endpoint: 'https://api.perplexity.ai/chat/completions' };\n    console.error(details);\n  }\n}\n",
        "3 http chat perplexity unknown certain",
    );
}

#[test]
fn a_package_is_the_same_from_whatever_place_it_is_brought() {
    check(
        "supabase/functions/a/index.ts",
        "import OpenAI from 'https://deno.land/x/openai@v4.24.0/mod.ts';\nimport { GoogleGenerativeAI } from 'npm:@google/generative-ai@0.21';\n\
         import { ChatOpenAI } from 'https://esm.sh/v135/langchain@0.0.150/chat_models/openai?target=deno';\n\
         const openai = new OpenAI({ apiKey: Deno.env.get('OPENAI_API_KEY') });\n\
         await openai.chat.completions.create({ model: 'gpt-4o-mini', messages });\nconst google = new GoogleGenerativeAI(key);\n\
         await google.getGenerativeModel({ model: 'gemini-1.5-flash' }).generateContent(prompt);\n\
         const model = new ChatOpenAI({ modelName: 'gpt-4' });\nconst { Anthropic } = await import('https://esm.run/@anthropic-ai/sdk');\n\
         new Anthropic();\n",
        "4 client client openai unknown certain
         5 call chat openai gpt-4o-mini certain
         6 client client google unknown certain
         7 call chat google gemini-1.5-flash certain
         8 client chat openai gpt-4 certain
         10 client client anthropic unknown certain",
    );
}

#[test]
fn the_model_of_a_body_that_is_written_to_a_request_of_node() {
    check(
        "a.js",
        "const https = require('https');\nconst options = { hostname: 'api.openai.com', path: '/v1/chat/completions', method: 'POST' };\n\
         const req = https.request(options, (res) => {});\nreq.write(JSON.stringify({ model: 'gpt-4o-mini', messages: [] }));\nreq.end();\n",
        "3 http chat openai gpt-4o-mini certain",
    );
}
