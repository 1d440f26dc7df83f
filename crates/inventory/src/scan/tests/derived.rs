//! What C# and PHP know without saying where it comes from: namespaces, base classes, traits, and functions of a kernel.

use super::{check, check_files};

#[test]
fn a_namespace_sees_what_is_in_those_around_it() {
    check(
        "A.cs",
        "namespace OpenAI.Chat.Demo;\nclass A {\n  void F() {\n    var c = new ChatClient(\"gpt-4o\", k);\n    c.CompleteChat(m);\n  }\n}\n",
        "4 client chat openai gpt-4o certain
         5 call chat openai unknown certain",
    );
    check(
        "B.cs",
        "using Shop.Lists;\nclass A { void F() { var c = new OpenAI.Chat.ChatClient(\"gpt-4o\", k);\n    \
         OpenAI.Embeddings.EmbeddingClient e = new(\"text-embedding-3-small\", k);\n    e.GenerateEmbedding(t);\n    c.CompleteChat(m); } }\n",
        "2 client chat openai gpt-4o certain
         3 client embeddings openai text-embedding-3-small certain
         4 call embeddings openai unknown certain
         5 call chat openai unknown certain",
    );
}

#[test]
fn new_alone_is_of_what_was_declared_before() {
    check(
        "A.cs",
        "using OpenAI.Chat;\nclass A {\n  private readonly ChatClient _chat;\n  A() {\n    _chat = new(\"gpt-4o\", k);\n  }\n  \
         static ChatClient Make() => new(\"gpt-4o-mini\", k);\n  ChatClient Other() {\n    return new(\"gpt-4.1\", k);\n  }\n}\n",
        "5 client chat openai gpt-4o certain
         7 client chat openai gpt-4o-mini certain
         9 client chat openai gpt-4.1 certain",
    );
}

#[test]
fn members_of_a_base_class_are_known_in_another_file() {
    check_files(
        &[
            (
                "Base.cs",
                "using Azure.AI.Agents.Persistent;\nabstract class Base {\n  protected PersistentAgentsClient Client { get; }\n  \
                 Base() {\n    Client = new PersistentAgentsClient(e, c);\n  }\n}\n",
            ),
            ("Other.cs", "class Other {\n  private Mail Client;\n}\n"),
            (
                "Use.cs",
                "class Use : Base {\n  async Task F() {\n    await this.Client.Administration.CreateAgentAsync(m);\n    \
                 await Client.Runs.CreateRunAsync(t);\n  }\n}\n",
            ),
        ],
        "Base.cs:5 client client azure-ai unknown certain
         Use.cs:3 call assistants azure-ai unknown certain
         Use.cs:4 call assistants azure-ai unknown certain",
    );
    check_files(
        &[
            (
                "Base.php",
                "<?php\nnamespace App;\nabstract class Base {\n    protected \\OpenAI\\Client $client;\n    \
                 public function __construct() { $this->client = \\OpenAI::client($k); }\n}\n",
            ),
            (
                "Asks.php",
                "<?php\nnamespace App;\nuse Anthropic\\Client;\ntrait Asks {\n    private Client $claude;\n}\n",
            ),
            (
                "Use.php",
                "<?php\nnamespace App;\nclass Use_ extends Base {\n    use Asks;\n    public function f() {\n        \
                 $this->client->chat()->create(['model' => 'gpt-4o']);\n        \
                 $this->claude->messages->create(model: 'claude-3-5-haiku-latest');\n    }\n}\n",
            ),
        ],
        "Base.php:5 client client openai unknown certain
         Use.php:6 call chat openai gpt-4o certain
         Use.php:7 call chat anthropic claude-3-5-haiku-latest certain",
    );
}

#[test]
fn a_kernel_answers_by_prompts_and_not_by_functions_of_its_own() {
    check(
        "A.cs",
        "using Microsoft.SemanticKernel;\nclass A {\n  async Task F(Kernel kernel) {\n    \
         var own = kernel.CreateFunctionFromMethod(() => 1);\n    await kernel.InvokeAsync(own);\n    \
         var mail = kernel.ImportPluginFromObject(new Mail());\n    await kernel.InvokeAsync(mail[\"send\"], a);\n    \
         var asks = kernel.CreateFunctionFromPrompt(\"Say {{$it}}\");\n    await kernel.InvokeAsync(asks, a);\n    \
         await asks.InvokeAsync(kernel, a);\n    await kernel.InvokePromptAsync(\"Hi\");\n  }\n}\n",
        "9 call chat unknown unknown certain
         10 call chat unknown unknown certain
         11 call chat unknown unknown certain",
    );
}

#[test]
fn a_method_of_the_class_itself_is_no_library_s() {
    check(
        "A.cs",
        "using OpenAI.Chat;\nclass A {\n  void F() {\n    CompleteChatAsync(m);\n    this.CompleteChatAsync(m);\n    \
         other.CompleteChatAsync(m);\n  }\n}\n",
        "6 call chat openai unknown likely",
    );
}

#[test]
fn a_class_derived_from_an_agent_is_one() {
    check_files(
        &[
            (
                "app/Agents/Coach.php",
                "<?php\nnamespace App\\Agents;\nuse NeuronAI\\Agent;\nuse NeuronAI\\Providers\\Anthropic\\Anthropic;\n\
                 class Coach extends Agent {\n    protected function provider(): AIProviderInterface {\n        \
                 return new Anthropic($k, 'claude-3-5-haiku-latest');\n    }\n}\n",
            ),
            (
                "app/Use.php",
                "<?php\nnamespace App;\nuse App\\Agents\\Coach;\n$answer = Coach::make()->chat(new UserMessage('Hi'));\n\
                 $coach = new Coach();\n$coach->stream($messages);\n",
            ),
        ],
        "app/Agents/Coach.php:7 client chat anthropic claude-3-5-haiku-latest certain
         app/Use.php:4 call chat anthropic unknown certain
         app/Use.php:6 call chat anthropic unknown certain streaming",
    );
}

#[test]
fn libraries_of_one_vendor_are_known_in_php() {
    check(
        "a.php",
        "<?php\nuse LucianoTonet\\GroqPHP\\Groq;\nuse DeepSeek\\DeepSeekClient;\nuse Probots\\Pinecone\\Client as Pinecone;\n\
         use WordPress\\AiClient\\AiClient;\n$groq = new Groq($k);\n$groq->chat()->completions()->create(['model' => 'llama']);\n\
         DeepSeekClient::build($k)->query('Hi')->run();\n$store = new Pinecone($k);\n$store->data()->vectors()->upsert($v);\n\
         $text = AiClient::prompt('Hi')->usingTemperature(1)->generateText();\n",
        "6 client client groq unknown certain
         7 call chat groq llama certain
         8 call chat deepseek unknown certain
         9 client vector_store pinecone unknown certain
         10 call vector_store pinecone unknown certain
         11 call chat unknown unknown certain",
    );
}

#[test]
fn a_wrapper_of_the_repository_and_a_double_of_a_test_are_no_calls() {
    check_files(
        &[
            (
                "Answers.cs",
                "namespace Shop;\npublic class Answers {\n  Task<string> CompleteChatAsync(string q) => null;\n}\n",
            ),
            (
                "Use.cs",
                "using OpenAI.Chat;\nclass Use {\n  private readonly Answers _answers;\n  void F() {\n    \
                 _answers.CompleteChatAsync(q);\n    Answers.CompleteChatAsync(q);\n    other.CompleteChatAsync(q);\n    \
                 mock.Setup(x => x.CompleteChatAsync(It.IsAny<string>()));\n  }\n  void G(ChatClient chat) {\n    \
                 chat.CompleteChatAsync(Arg.Any<string>());\n    chat.CompleteChatAsync(q);\n  }\n}\n",
            ),
        ],
        "Use.cs:7 call chat openai unknown likely
         Use.cs:12 call chat openai unknown certain",
    );
}

#[test]
fn a_library_s_own_source_asks_nobody_through_its_own_classes() {
    let chat = "<?php\nnamespace LLPhant\\Query;\nuse LLPhant\\Chat\\ChatInterface;\nuse LLPhant\\Chat\\OpenAIChat;\nclass Answering {\n    \
                public function __construct(private ChatInterface $chat) {}\n    public function f() {\n        \
                $this->chat ??= new OpenAIChat();\n        return $this->chat->generateText($q);\n    }\n    \
                public function g() { return $this->http->post('https://api.openai.com/v1/chat/completions', $q); }\n}\n";
    check("src/Query/Answering.php", chat, "11 http chat openai unknown certain");
    check(
        "tests/Query/AnsweringTest.php",
        chat,
        "8 client chat openai unknown certain
         9 call chat openai unknown certain
         11 http chat openai unknown certain",
    );
    // A package that brings the library into a framework uses it.
    check(
        "src/ServiceProvider.php",
        "<?php\nnamespace OpenAI\\Laravel;\nuse OpenAI;\nfunction f() { return OpenAI::factory()->make(); }\n",
        "4 client client openai unknown certain",
    );
}

#[test]
fn a_class_of_php_that_only_has_a_library_s_interface_is_none_of_the_library() {
    check_files(
        &[
            (
                "src/CountingChat.php",
                "<?php\nnamespace Shop;\nuse LLPhant\\Chat\\ChatInterface;\nclass CountingChat implements ChatInterface {\n    \
                 public function __construct(private ChatInterface $inner) {}\n    \
                 public function generateText(string $q): string { return $this->inner->generateText($q); }\n    \
                 public function embedText(string $q) { return [1.0]; }\n    \
                 public function embedDocument($d) { return $this->embedText($d); }\n}\n",
            ),
            (
                "src/FakeCoach.php",
                "<?php\nnamespace Shop;\nuse NeuronAI\\Agent;\nclass FakeCoach extends Agent {}\nclass Coach extends Agent {}\n",
            ),
            (
                "src/Uses.php",
                "<?php\nnamespace Shop;\nuse LLPhant\\Chat\\Message;\nclass Uses {\n    \
                 public function __construct(private CountingChat $chat) {}\n    public function f() {\n        \
                 $this->chat->generateText($q);\n        $chat = new CountingChat($x);\n        $chat->generateText($q);\n        \
                 FakeCoach::make()->chat($q);\n        Coach::make()->chat($q);\n    }\n}\n",
            ),
        ],
        "src/CountingChat.php:6 call chat unknown unknown certain
         src/Uses.php:11 call chat unknown unknown certain",
    );
}

#[test]
fn a_class_of_php_in_the_same_namespace_is_no_library_s() {
    check_files(
        &[
            (
                "src/Caller.php",
                "<?php\nnamespace Shop\\Http;\nclass Caller {\n    private Client $client;\n    public function f() {\n        \
                 $this->client = new Client($u);\n        $this->client->messages()->create($q);\n        \
                 $other = new Gateway($u);\n        $other->threads()->create($q);\n        $open = \\OpenAI::client($k);\n        \
                 $open->chat()->create(['model' => 'gpt-4o']);\n    }\n}\n",
            ),
            ("src/Client.php", "<?php\nnamespace Shop\\Http;\nclass Client {}\nclass Gateway {}\n"),
        ],
        "src/Caller.php:10 client client openai unknown certain
         src/Caller.php:11 call chat openai gpt-4o certain",
    );
}

#[test]
fn doubles_that_libraries_of_php_bring_are_no_clients() {
    check(
        "tests/a.php",
        "<?php\nuse OpenAI\\Testing\\ClientFake;\nuse NeuronAI\\Testing\\FakeAIProvider;\n$fake = new ClientFake([$answer]);\n\
         $fake->chat()->create(['model' => 'gpt-4o']);\n$provider = new FakeAIProvider($answer);\n$provider->chat($q);\n",
        "",
    );
}

#[test]
fn a_name_of_no_namespace_brings_no_library_of_php_in() {
    let asks = "class A {\n    public function f($posts) {\n        $posts->files()->upload($f);\n        $posts->generateContent($q);\n        \
                $posts->threads()->create($q);\n        return new Client($u);\n    }\n}\n";
    check(
        "a.php",
        &format!("<?php\nnamespace Shop;\nuse Exception;\nuse Client;\n// openai\n{asks}"),
        "10 call assistants openai unknown possible",
    );
    check(
        "b.php",
        &format!("<?php\nnamespace Shop;\nuse OpenAI;\n{asks}"),
        "6 call files openai unknown likely
         8 call assistants openai unknown likely",
    );
}

#[test]
fn a_class_that_hands_another_vendors_address_to_its_base_asks_that_vendor_also_by_what_it_inherits() {
    let base = "import OpenAI from 'openai';\nexport class Engine {\n  client: OpenAI;\n  constructor(config) {\n    \
                const options = { apiKey: config.key };\n    options.baseURL = config.baseURL;\n    this.client = new OpenAI(options);\n  }\n  \
                public say = async (messages) => this.client.chat.completions.create({ model: 'm', messages });\n}\n";
    check_files(
        &[
            ("src/engine.ts", base),
            (
                "src/deep.ts",
                "import { Engine } from './engine';\nexport class Deep extends Engine {\n  constructor(config) {\n    \
                 super({ baseURL: 'https://api.deepseek.com/v1', ...config });\n  }\n  public say = async (messages) => {\n    \
                 return await this.client.chat.completions.create({ model: 'm', messages });\n  };\n}\n",
            ),
            (
                "src/fast.ts",
                "import { Engine } from './engine';\nexport class Fast extends Engine {\n  constructor(config) {\n    \
                 config.baseURL = 'https://api.groq.com/openai/v1';\n    super(config);\n  }\n}\n",
            ),
            ("src/same.ts", "import { Engine } from './engine';\nexport class Same extends Engine {\n}\n"),
        ],
        "src/deep.ts:4 client client deepseek unknown likely
         src/deep.ts:7 call chat deepseek m likely
         src/engine.ts:7 client client openai unknown certain
         src/engine.ts:9 call chat openai m certain
         src/fast.ts:2 call chat groq m likely
         src/fast.ts:5 client client groq unknown likely",
    );
    check_files(
        &[
            (
                "base.py",
                "from openai import OpenAI\nclass Base:\n    url = None\n    def __init__(self, key):\n        \
                 self.client = OpenAI(api_key=key, base_url=self.url)\n    def say(self, m):\n        \
                 return self.client.chat.completions.create(model='m', messages=m)\n",
            ),
            ("other.py", "from base import Base\nclass Other(Base):\n    url = 'https://openrouter.ai/api/v1'\n"),
        ],
        "base.py:5 client client openai-compatible unknown likely
         base.py:7 call chat openai-compatible m likely
         other.py:2 call chat openrouter m likely",
    );
}
