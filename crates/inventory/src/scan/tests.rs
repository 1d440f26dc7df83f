//! Small sources of each language, and what is found in them.

mod derived;
mod dotnet;
mod frameworks;
mod go;
mod handed;
mod javascript;
mod jvm;
mod other_uses;
mod php;
mod place;
mod reach;
mod ruby;
mod rust;
mod rust_http;
mod sent;
mod settings;
mod told;
mod vendor;

use super::*;

/// Reads the files as one repository; one line per finding that is a site.
fn found(files: &[(&str, &str)]) -> String {
    let files: Vec<(String, Read)> =
        files.iter().map(|(path, text)| ((*path).to_owned(), read(path, text, true))).collect();
    let findings = link(&files, &Owners::default());
    let sites = findings.iter().filter(|finding| finding.kind.is_site());
    let line = |finding: &Finding| {
        let model = finding.model.id.clone().unwrap_or_else(|| finding.model.from.as_str().to_owned());
        let path = if files.len() > 1 { format!("{}:", finding.path) } else { String::new() };
        let (kind, confidence) = (finding.kind.as_str(), finding.confidence.as_str());
        let flags: String = finding.flags.words().iter().map(|word| format!(" {word}")).collect();
        format!("{path}{} {kind} {} {} {model} {confidence}{flags}\n", finding.line, finding.operation, finding.vendor)
    };
    sites.map(line).collect()
}

#[track_caller]
fn check(path: &str, text: &str, expected: &str) {
    check_files(&[(path, text)], expected);
}

#[track_caller]
fn check_files(files: &[(&str, &str)], expected: &str) {
    let trimmed: String =
        expected.lines().map(|line| format!("{}\n", line.trim())).filter(|line| line != "\n").collect();
    assert_eq!(found(files), trimmed);
}

mod python {
    use super::*;

    #[test]
    fn clients_and_their_calls() {
        check(
            "a.py",
            "import os\nfrom openai import OpenAI, AsyncAzureOpenAI as Azure\nclient = OpenAI(api_key=os.environ['K'])\n\
             MODEL = 'gpt-4o-mini'\ndef f():\n    r = client.chat.completions.create(model=MODEL, messages=[], stream=True)\n    \
             return client.embeddings.create(model='text-embedding-3-small', input='x')\nazure = Azure()\n\
             azure.chat.completions.create(model=os.environ['M'], tools=[])\n",
            "3 client client openai unknown certain
             6 call chat openai gpt-4o-mini certain streaming
             7 call embeddings openai text-embedding-3-small certain
             8 client client azure-openai unknown certain
             9 call chat azure-openai config certain tools",
        );
    }

    #[test]
    fn the_old_generation_and_module_level_calls() {
        check(
            "a.py",
            "import openai\nopenai.ChatCompletion.create(model='gpt-4')\nopenai.chat.completions.create(model='gpt-4')\n\
             openai.Embedding.create(input='x', engine='text-embedding-ada-002')\n",
            "2 call chat openai gpt-4 certain
             3 call chat openai gpt-4 certain
             4 call embeddings openai text-embedding-ada-002 certain",
        );
    }

    #[test]
    fn members_and_functions_are_followed() {
        check(
            "a.py",
            "from openai import OpenAI\nclass A:\n    def __init__(self):\n        self.client = OpenAI()\n    def f(self):\n        \
             return self.client.responses.create(model='gpt-4o')\ndef make():\n    return OpenAI()\nmake().images.generate(prompt='x')\n",
            "4 client client openai unknown certain
             6 call responses openai gpt-4o certain
             8 client client openai unknown certain
             9 call images openai unknown certain",
        );
    }

    #[test]
    fn other_files_are_followed_by_one_hop() {
        check_files(
            &[
                ("app/llm.py", "from openai import OpenAI\nclient = OpenAI()\n"),
                ("app/use.py", "from app.llm import client\nclient.chat.completions.create(model='gpt-4o')\n"),
                ("app/rel.py", "from .llm import client as c\nc.moderations.create(input='x')\n"),
                ("app/mod.py", "from . import llm\nllm.client.files.list()\n"),
            ],
            "app/llm.py:2 client client openai unknown certain
             app/mod.py:2 call files openai unknown certain
             app/rel.py:2 call moderation openai unknown certain
             app/use.py:2 call chat openai gpt-4o certain",
        );
    }

    #[test]
    fn chains_of_langchain_answer_by_the_model_in_them() {
        check(
            "a.py",
            "from langchain_openai import ChatOpenAI, OpenAIEmbeddings\nfrom langchain.chains import LLMChain\n\
             llm = ChatOpenAI(model='gpt-4o')\nchain = prompt | llm\nchain.invoke({})\nold = LLMChain(llm=llm, prompt=p)\nold.run(x)\n\
             emb = OpenAIEmbeddings()\nemb.embed_query('x')\n",
            "3 client chat openai gpt-4o certain
             5 call chat openai unknown certain
             7 call chat openai unknown certain
             8 client embeddings openai unknown certain
             9 call embeddings openai unknown certain",
        );
    }

    #[test]
    fn plain_http_is_found_by_its_address() {
        check(
            "a.py",
            "import requests\nURL = 'https://api.openai.com/v1/chat/completions'\nrequests.post(URL, json={'model': 'gpt-4'})\n\
             requests.get('https://example.com/v1/things')\n",
            "3 http chat openai gpt-4 certain",
        );
    }

    #[test]
    fn what_only_looks_alike_is_not_certain() {
        check("a.py", "def f(c):\n    return c.chat.completions.create(model='m')\n", "2 call chat openai m possible");
        check("a.py", "import twilio\nclient = twilio.Client()\nclient.messages.create(body='x')\n", "");
        check("a.py", "class Chat:\n    def create(self): pass\nChat().create()\n", "");
    }
}

mod script {
    use super::*;

    #[test]
    fn clients_and_their_calls() {
        check(
            "a.ts",
            "import OpenAI from 'openai';\nimport Anthropic from '@anthropic-ai/sdk';\nconst openai = new OpenAI({ apiKey: k });\n\
             const r = await openai\n  .chat\n  .completions.create({ model: 'gpt-4o', stream: true, response_format: f });\n\
             class A { private a = new Anthropic(); go() { return this.a.messages.create({ model: 'claude-3-5-haiku-latest' }); } }\n",
            "3 client client openai unknown certain
             6 call chat openai gpt-4o certain streaming schema
             7 call chat anthropic claude-3-5-haiku-latest certain",
        );
    }

    #[test]
    fn required_modules_and_the_old_generation() {
        check(
            "a.js",
            "const { Configuration, OpenAIApi } = require('openai');\nconst api = new OpenAIApi(new Configuration({ apiKey }));\n\
             async function f() { return api.createChatCompletion({ model: 'gpt-3.5-turbo' }); }\n",
            "2 client client openai unknown certain
             3 call chat openai gpt-3.5-turbo certain",
        );
    }

    #[test]
    fn vercel_takes_its_vendor_from_the_model() {
        check(
            "a.ts",
            "import { streamText } from 'ai';\nimport { openai } from '@ai-sdk/openai';\nconst r = streamText({\n  \
             model: openai('gpt-4o'),\n  prompt,\n});\n",
            "3 call chat openai gpt-4o certain streaming
             4 client chat openai gpt-4o certain",
        );
    }

    #[test]
    fn other_files_are_followed_by_one_hop() {
        check_files(
            &[
                ("lib/ai.ts", "import OpenAI from 'openai'\nexport const openai = new OpenAI()\n"),
                (
                    "app/x.ts",
                    "import { openai } from '@/lib/ai'\nopenai.embeddings.create({ model: 'text-embedding-3-small' })\n",
                ),
            ],
            "app/x.ts:2 call embeddings openai text-embedding-3-small certain
             lib/ai.ts:2 client client openai unknown certain",
        );
    }

    #[test]
    fn plain_http_is_found_by_its_address() {
        check(
            "a.ts",
            "const res = await fetch(`${base}/x`);\nawait fetch('https://api.openai.com/v1/chat/completions', { method: 'POST' });\n\
             await fetch(`https://${host}.openai.azure.com/openai/deployments/${d}/chat/completions`);\n",
            "2 http chat openai unknown certain
             3 http chat azure-openai unknown certain",
        );
    }
}

mod others {
    use super::*;

    #[test]
    fn go() {
        check(
            "a.go",
            "package a\nimport (\n\t\"github.com/openai/openai-go\"\n\tgo2 \"github.com/sashabaranov/go-openai\"\n)\nfunc f() {\n\t\
             client := openai.NewClient()\n\tr, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{\n\t\tModel: \
             openai.ChatModelGPT4o,\n\t})\n}\ntype S struct { c *go2.Client }\nfunc (s *S) g() {\n\ts.c.CreateChatCompletionStream(ctx, \
             go2.ChatCompletionRequest{Model: go2.GPT4})\n}\n",
            "7 client client openai unknown certain
             8 call chat openai gpt-4o certain
             14 call chat openai gpt-4 certain streaming",
        );
    }

    #[test]
    fn java() {
        check(
            "A.java",
            "import com.openai.client.OpenAIClient;\nimport com.openai.client.okhttp.OpenAIOkHttpClient;\nimport \
             dev.langchain4j.model.openai.OpenAiChatModel;\nclass A {\n  private final OpenAIClient client;\n  A(OpenAIClient c) { \
             this.client = c; }\n  void f() {\n    client.chat().completions().create(params);\n    var m = \
             OpenAiChatModel.builder().apiKey(k).modelName(\"gpt-4o-mini\").build();\n    m.generate(\"x\");\n    OpenAIClient d = \
             OpenAIOkHttpClient.fromEnv();\n  }\n}\n",
            "8 call chat openai unknown certain
             9 client chat openai gpt-4o-mini certain
             10 call chat openai unknown certain
             11 client client openai unknown certain",
        );
    }

    #[test]
    fn kotlin() {
        check(
            "A.kt",
            "import com.aallam.openai.client.OpenAI\nclass A(private val client: OpenAI) {\n  suspend fun f() = \
             client.chatCompletion(ChatCompletionRequest(model = ModelId(\"gpt-4\"), messages = m))\n}\nval o = OpenAI(token = \"k\")\n",
            "3 call chat openai gpt-4 certain
             5 client client openai unknown certain",
        );
    }

    #[test]
    fn csharp() {
        check(
            "A.cs",
            "using Azure.AI.OpenAI;\nusing OpenAI.Chat;\nusing Microsoft.SemanticKernel;\nclass A {\n  private readonly ChatClient _chat;\n  \
             void F() {\n    var c = new AzureOpenAIClient(u, k);\n    ChatClient d = new(model: \"gpt-4o\", k);\n    await \
             _chat.CompleteChatAsync(m);\n    var b = Kernel.CreateBuilder();\n    b.AddAzureOpenAIChatCompletion(x, y, z);\n    var s = \
             kernel.GetRequiredService<IChatCompletionService>();\n    await s.GetChatMessageContentAsync(h);\n  }\n}\n\
             // using Microsoft.SemanticKernel.ChatCompletion\n",
            "7 client client azure-openai unknown certain
             8 client chat openai gpt-4o certain
             9 call chat openai unknown certain
             11 adapter chat azure-openai unknown certain
             13 call chat azure-openai unknown certain",
        );
    }

    #[test]
    fn rust() {
        check(
            "a.rs",
            "use async_openai::{Client, config::OpenAIConfig};\nuse openai_api_rs::v1::common::GPT4_O;\nasync fn f() {\n    let c = \
             Client::new();\n    c.chat().create(r).await?;\n    let d = Client::<OpenAIConfig>::with_config(g);\n    \
             d.embeddings().create(e).await?;\n}\nstruct S { client: Client<OpenAIConfig> }\nimpl S { fn g(&self) { \
             self.client.models().list(); } }\n",
            "4 client client openai unknown certain
             5 call chat openai unknown certain
             6 client client openai unknown certain
             7 call embeddings openai unknown certain
             10 call models openai unknown certain",
        );
    }

    #[test]
    fn ruby() {
        check(
            "a.rb",
            "class A\n  def initialize\n    @client = ::OpenAI::Client.new(access_token: ENV['K'])\n  end\n  def f\n    \
             @client.chat(parameters: { model: 'gpt-4o', stream: proc { |c| c } })\n  end\nend\n",
            "3 client client openai unknown certain
             6 call chat openai gpt-4o certain streaming",
        );
    }

    #[test]
    fn php() {
        check(
            "a.php",
            "<?php\nuse OpenAI\\Laravel\\Facades\\OpenAI as Facade;\n$c = \\OpenAI::client(getenv('K'));\n$r = \
             $c->chat()->create(['model' => 'gpt-4o', 'messages' => []]);\nFacade::embeddings()->create(['model' => \
             'text-embedding-3-small']);\n",
            "3 client client openai unknown certain
             4 call chat openai gpt-4o certain
             5 call embeddings openai text-embedding-3-small certain",
        );
    }
}

mod asked {
    use super::*;

    /// Where the prompt of each call is and how its answer is read, with its flags and parameters.
    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let files: Vec<(String, Read)> =
            files.iter().map(|(path, text)| ((*path).to_owned(), read(path, text, true))).collect();
        let findings = link(&files, &Owners::default());
        let calls = findings.iter().filter(|finding| matches!(finding.kind, Kind::Call | Kind::Http));
        let line = |finding: &Finding| {
            let prompt = finding.prompt.as_ref().map_or_else(
                || "-".to_owned(),
                |prompt| format!("{}:{} {}", prompt.path, prompt.line, prompt.form.as_str()),
            );
            let read = finding.response.join(", ");
            format!("{} | {prompt} | {read} | {}", finding.line, finding.flags.words().join(" "))
        };
        assert_eq!(calls.map(line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn python() {
        check(
            &[
                ("prompts.py", "SYSTEM = 'You help {name}.'\n"),
                (
                    "a.py",
                    "import json\nfrom openai import OpenAI\nfrom prompts import SYSTEM\nclient = OpenAI()\n\
                     def f(question):\n    r = client.chat.completions.create(model='gpt-4o', tools=T, logprobs=True,\n        \
                     messages=[{'role': 'system', 'content': SYSTEM}])\n    text = r.choices[0].message.content\n    \
                     return json.loads(text)\n\
                     def g(question):\n    return client.responses.create(input=question, stream=True).output_text\n",
                ),
            ],
            &[
                "6 | prompts.py:1 template | choices.message.content, loads() | tools logprobs",
                "11 | a.py:10 variable | output_text | streaming",
            ],
        );
    }

    #[test]
    fn script() {
        check(
            &[(
                "a.ts",
                "import OpenAI from 'openai';\nconst openai = new OpenAI();\nconst SYSTEM = 'Be brief.';\n\
                 const messages = [\n  { role: 'system', content: SYSTEM },\n];\n\
                 const r = await openai.chat.completions.create({ model: 'gpt-4o', messages, response_format: { type: 'json_object' } });\n\
                 const data = JSON.parse(r.choices[0].message.content);\n\
                 await openai.chat.completions.create({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] });\n",
            )],
            &["7 | a.ts:3 literal | choices.message.content, parse() | json_mode", "9 | a.ts:9 expression |  | vision"],
        );
    }

    #[test]
    fn other_languages() {
        check(
            &[(
                "a.go",
                "package a\nimport \"github.com/sashabaranov/go-openai\"\nfunc f() {\n\tc := openai.NewClient(k)\n\t\
                 r, err := c.CreateChatCompletion(ctx, openai.ChatCompletionRequest{Model: openai.GPT4o, Messages: \
                 []openai.ChatCompletionMessage{{Role: x, Content: \"Say hello.\"}}})\n\t\
                 json.Unmarshal([]byte(r.Choices[0].Message.Content), &v)\n}\n",
            )],
            &["5 | a.go:5 literal | Choices.Message.Content, Unmarshal() | "],
        );
        check(
            &[(
                "a.rb",
                "client = OpenAI::Client.new\nr = client.chat(parameters: { model: 'gpt-4o', messages: [{ role: 'user', content: \
                 \"Hello #{name}\" }] })\nputs JSON.parse(r.dig('choices'))\n",
            )],
            &["2 | a.rb:2 template | dig, parse() | "],
        );
        check(
            &[(
                "a.php",
                "<?php\n$c = \\OpenAI::client($k);\n$r = $c->chat()->create(['model' => 'gpt-4o', 'tools' => $t, 'messages' => \
                 [['role' => 'user', 'content' => 'Hello']]]);\n$d = json_decode($r->choices[0]->message->content);\n",
            )],
            &["3 | a.php:3 literal | choices.message.content, json_decode() | tools"],
        );
    }
}

#[test]
fn files_are_shared_out_evenly_and_in_their_order() {
    for (weights, ends) in [
        (vec![], vec![]),
        (vec![1], vec![1]),
        (vec![1, 1, 1, 1], vec![1, 2, 3, 4]),
        (vec![90, 1, 1, 1, 1, 1, 1], vec![1, 7]),
        (vec![1, 1, 1, 90], vec![4]),
        (vec![5; 10], vec![3, 6, 9, 10]),
    ] {
        let parts = even(weights.iter().copied());
        let joined: Vec<usize> = parts.iter().cloned().flatten().collect();
        assert_eq!(joined, (0..weights.len()).collect::<Vec<_>>(), "{weights:?}");
        assert_eq!(parts.iter().map(|part| part.end).collect::<Vec<_>>(), ends, "{weights:?}");
    }
}

#[test]
fn a_client_of_a_file_of_another_part_is_known() {
    let many: Vec<(String, String)> = (0..40)
        .map(|idx| {
            (
                format!("m{idx:02}.py"),
                "from a import client\nclient.chat.completions.create(model='gpt-4o')\n".to_owned(),
            )
        })
        .collect();
    let mut files = vec![("a.py", "from openai import OpenAI\nclient = OpenAI()\n")];
    files.extend(many.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    assert_eq!(found(&files).lines().filter(|line| line.contains(" call chat openai gpt-4o certain")).count(), 40);
}
