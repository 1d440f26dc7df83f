//! How far names, addresses and models are followed.

use super::{check, check_files};

#[test]
fn ruby_readers_branches_and_tests_are_followed() {
    check_files(
        &[
            (
                "lib/a.rb",
                "class A\n  attr_reader :client\n  def initialize\n    @client = OpenAI::Client.new\n  end\n  def other\n    \
                 @other ||= begin\n      config = {}\n      Anthropic::Client.new(config)\n    end\n  end\n  def ask\n    \
                 other.messages(parameters: { model: 'claude-3-opus-20240229' })\n  end\nend\n",
            ),
            (
                "lib/b.rb",
                "def f(bot)\n  bot.thing.chat(parameters: { model: 'gpt-4o' })\n  bot.client.send(:embeddings, parameters: p)\nend\n",
            ),
            ("lib/c.rb", "let(:llm) { OpenAI::Client.new }\nit { llm.files.list }\n"),
        ],
        "lib/a.rb:4 client client openai unknown certain
         lib/a.rb:9 client client anthropic unknown certain
         lib/a.rb:13 call chat anthropic claude-3-opus-20240229 certain
         lib/b.rb:2 call chat openai gpt-4o likely
         lib/b.rb:3 call embeddings openai unknown likely
         lib/c.rb:1 client client openai unknown certain
         lib/c.rb:2 call files openai unknown certain",
    );
}

#[test]
fn records_of_a_database_are_no_messages_of_a_vendor() {
    check(
        "a.rb",
        "class A\n  def f\n    OpenAI::Client\n    conversation.messages.create(role: 'user')\n  end\nend\n",
        "",
    );
}

#[test]
fn addresses_are_followed_through_names_functions_and_joins() {
    check(
        "a.php",
        "<?php\nclass A {\n  protected $url = 'openai/deployments/{deployment-id}/chat/completions';\n  protected $model = 'gpt-4o';\n  \
         function url($base) {\n    $whole = rtrim($base) . str_replace('{deployment-id}', 'x', $this->url);\n    return \
         add_query_arg('v', '1', $whole);\n  }\n  function f($b) {\n    $body = apply_filters('x', ['model' => $this->model]);\n    \
         return wp_remote_post($this->url($b), ['body' => wp_json_encode($body)]);\n  }\n}\n",
        "11 http chat azure-openai gpt-4o likely",
    );
}

#[test]
fn a_path_is_on_the_base_that_the_file_names() {
    check(
        "A.cs",
        "using System.Net.Http;\nclass A {\n  async Task F() {\n    _http.BaseAddress = new Uri(\"https://api.openai.com/\");\n    var body = \
         new { model = \"gpt-4\" };\n    await _http.PostAsJsonAsync(\"v1/chat/completions\", body);\n  }\n}\n",
        "6 http chat openai gpt-4 certain",
    );
}

#[test]
fn settings_servers_and_comparisons_send_nothing() {
    check(
        "a.js",
        "const base = config.get('https://api.openai.com/v1/chat/completions');\napp.post('/v1/chat/completions', answer);\nif (url === \
         'https://api.openai.com/v1/embeddings') { f(); }\n",
        "1 http chat openai unknown likely",
    );
}

#[test]
fn models_are_followed_to_constants_of_other_files_and_to_what_was_set_before() {
    check_files(
        &[
            ("names.ts", "export const CHAT_MODEL = 'gpt-4o-mini'\n"),
            (
                "a.ts",
                "import OpenAI from 'openai'\nimport { CHAT_MODEL } from './names'\nnew OpenAI().chat.completions.create({ model: CHAT_MODEL })\n",
            ),
        ],
        "a.ts:3 call chat openai gpt-4o-mini certain",
    );
    check(
        "a.rs",
        "use openai_api_rs::v1::api::OpenAIClient;\nasync fn f(client: OpenAIClient) {\n    let mut req = CreateResponseRequest::new();\n    \
         req.model = Some(GPT4_1_MINI.to_string());\n    client.create_response(req).await;\n}\n",
        "5 call responses openai gpt-4.1-mini certain",
    );
}

#[test]
fn models_of_one_s_own_machine_are_no_sites_whatever_they_are_declared_as() {
    check(
        "A.java",
        "import dev.langchain4j.model.chat.ChatModel;\nimport dev.langchain4j.model.ollama.OllamaChatModel;\nclass A {\n  void f() {\n    \
         ChatModel model = OllamaChatModel.builder().baseUrl(u).build();\n    model.chat(\"x\");\n  }\n}\n",
        "",
    );
}

#[test]
fn kotlin_asks_a_container_by_type() {
    check(
        "A.kt",
        "import org.springframework.ai.chat.client.ChatClient\nfun f() {\n  val cc = ref<ChatClient>()\n  cc.prompt(\"x\").call()\n}\n",
        "4 call chat unknown unknown certain",
    );
}

#[test]
fn a_directory_is_imported_by_a_dot() {
    check_files(
        &[
            (
                "ai/index.ts",
                "import { google } from '@ai-sdk/google';\nimport { wrapLanguageModel } from 'ai';\nexport const flash = wrapLanguageModel({ model: google('gemini-2.5-flash') });\n",
            ),
            (
                "ai/actions.ts",
                "import { generateObject } from 'ai';\nimport { flash } from '.';\nexport async function f() {\n  return await generateObject({ model: flash, prompt: 'x' });\n}\n",
            ),
        ],
        "ai/actions.ts:4 call chat google gemini-2.5-flash certain schema
         ai/index.ts:3 client chat google gemini-2.5-flash certain",
    );
}

#[test]
fn of_several_files_of_a_name_the_nearest_has_the_model() {
    check_files(
        &[
            ("a/config/constants.ts", "export const MODEL = 'gpt-4o';\n"),
            (
                "b/app/route.ts",
                "import OpenAI from 'openai';\nimport { MODEL } from '@/config/constants';\nconst openai = new OpenAI();\n\
                 openai.chat.completions.create({ model: MODEL, messages });\n",
            ),
            ("b/config/constants.ts", "export const MODEL = 'gpt-4o-mini';\n"),
        ],
        "b/app/route.ts:3 client client openai unknown certain
         b/app/route.ts:4 call chat openai gpt-4o-mini certain",
    );
}

#[test]
fn an_address_of_a_private_network_is_of_no_vendor() {
    check(
        "a.py",
        "import requests\nrequests.post('http://192.168.0.175:5000/v1/chat/completions', json={'messages': []})\n",
        "",
    );
}
