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
