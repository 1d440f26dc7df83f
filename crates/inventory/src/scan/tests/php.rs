//! How PHP says where it sends to: classes of Saloon, lists of addresses, texts that are trimmed; and the name of no namespace.

use super::{check, check_files};

#[test]
fn the_global_class_beside_a_facade_of_the_same_name_makes_a_client() {
    check(
        "a.php",
        "<?php\nnamespace App;\nuse OpenAI\\Laravel\\Facades\\OpenAI;\nclass A {\n    private $client;\n    public function f() {\n        \
         $this->client = \\OpenAI::client($key);\n        OpenAI::chat()->create(['model' => 'gpt-4o']);\n        \
         $this->client->chat()->create(['model' => 'gpt-4o-mini']);\n    }\n}\n",
        "7 client client openai unknown certain
         8 call chat openai gpt-4o certain
         9 call chat openai gpt-4o-mini certain",
    );
}

#[test]
fn a_request_of_saloon_is_sent_to_the_connector_that_is_nearest() {
    check_files(
        &[
            (
                "app/Claude/Connector.php",
                "<?php\nclass C extends Connector {\n    public function resolveBaseUrl(): string { return 'https://api.anthropic.com/v1'; }\n}\n",
            ),
            (
                "app/Mail/Connector.php",
                "<?php\nclass M extends Connector {\n    public function resolveBaseUrl(): string { return 'https://mail.example.com'; }\n}\n",
            ),
            (
                "app/Claude/Requests/Batches.php",
                "<?php\nclass Batches extends Request {\n    public function resolveEndpoint(): string {\n        return '/messages/batches';\n    }\n}\n",
            ),
        ],
        "app/Claude/Requests/Batches.php:4 http batches anthropic unknown certain",
    );
}

#[test]
fn addresses_under_a_key_of_a_chain_and_of_a_trimmed_base_are_followed() {
    check(
        "a.php",
        "<?php\nclass A {\n    private $urls = ['chat' => 'https://api.openai.com/v1/chat/completions'];\n    public function f() {\n        \
         Http::post($this->urls['chat'], []);\n        $base = config('ai.url', 'https://api.openai.com/v1');\n        \
         Http::post(rtrim($base, '/') . '/embeddings', []);\n        $this->client()->post('/responses', []);\n    }\n    \
         private function client() { return Http::withToken($this->key)->baseUrl('https://api.x.ai/v1'); }\n}\n",
        "5 http chat openai unknown certain
         7 http embeddings openai unknown certain
         8 http responses xai unknown certain",
    );
    check(
        "b.php",
        "<?php\nclass B {\n    private $http;\n    public function __construct() {\n        \
         $this->http = new Client(['base_uri' => 'https://api.mistral.ai/v1/']);\n    }\n    public function f() {\n        \
         $this->http->request('POST', 'embeddings', []);\n    }\n}\n",
        "8 http embeddings mistral unknown certain",
    );
}

#[test]
fn what_sends_to_a_vendor_sends_other_paths_there_too() {
    check(
        "lib/Api.php",
        "<?php\nclass Api {\n    function models() { return $this->request('models'); }\n    \
         function chat() { return $this->request('chat/completions', $body, 'POST'); }\n    \
         function other() { return $this->requestPage('models'); }\n}\n",
        "3 http models openai-compatible unknown likely
         4 http chat openai-compatible unknown likely",
    );
    check_files(
        &[
            (
                "src/Anthropic/Service.php",
                "<?php\nclass Service {\n    const BASE = 'https://api.anthropic.com/v1';\n}\n",
            ),
            (
                "src/Anthropic/Text.php",
                "<?php\nclass Text {\n    function f($api) {\n        $request = $api->create_post_request('messages', $body);\n    }\n}\n",
            ),
        ],
        "src/Anthropic/Text.php:4 http chat anthropic unknown certain",
    );
    check(
        "tests/Feature.php",
        "<?php\nclass Feature extends TestCase {\n    function test() { $this->postJson('/api/chat/completions', []); }\n}\n",
        "",
    );
}

#[test]
fn classes_with_their_namespace_services_of_a_container_and_helpers_of_prism() {
    check(
        "a.php",
        "<?php\nnamespace App;\nuse OpenAI\\Client;\nuse Prism\\Prism\\Enums\\Provider;\nclass A {\n    function f() {\n        \
         $groq = new \\LucianoTonet\\GroqPHP\\Groq($key);\n        $groq->chat()->completions()->create(['model' => 'x']);\n        \
         app(Client::class)->models()->list();\n        \
         $answer = prism()->text()->using(Provider::OpenAI, 'gpt-4o')->asText();\n    }\n}\n",
        "7 client client groq unknown certain
         8 call chat groq x certain
         9 call models openai unknown certain
         10 call chat openai gpt-4o likely",
    );
}

#[test]
fn agents_of_laragent_answer_where_they_are_asked() {
    check_files(
        &[
            ("app/Weather.php", "<?php\nnamespace App;\nuse LarAgent\\Agent;\nclass Weather extends Agent {\n}\n"),
            (
                "app/Ask.php",
                "<?php\nnamespace App;\nclass Ask {\n    function f() {\n        \
                 return Weather::for('here')->message('Hi')->respond();\n    }\n}\n",
            ),
        ],
        "app/Ask.php:5 call chat unknown unknown certain",
    );
}

#[test]
fn handlers_of_a_client_say_what_they_ask_for() {
    check(
        "a.php",
        "<?php\nuse EasyGithDev\\PHPOpenAI\\OpenAIClient;\n$client = new OpenAIClient($key);\n$handler = \
         $client->File();\n$handler->delete('f')->toObject();\n$client->Audio()->addCurlParam('timeout', \
         30)->transcription('a.mp3', 'whisper-1')->toObject();\n$client->Model()->list();\n",
        "3 client client openai unknown certain
         5 call files openai unknown certain
         6 call audio openai whisper-1 certain
         7 call models openai unknown certain",
    );
}

#[test]
fn the_vectors_of_an_index_that_is_named_are_asked_for() {
    check(
        "a.php",
        "<?php\nuse Probots\\Pinecone\\Client as Pinecone;\n$pinecone = new Pinecone($key, \
         $environment);\n$pinecone->index($name)->vectors()->update('1', [1.0]);\n",
        "3 client vector_store pinecone unknown certain
         4 call vector_store pinecone unknown certain",
    );
}

#[test]
fn a_class_is_known_by_its_namespace_wherever_its_file_stands() {
    check_files(
        &[
            (
                "app/Misplaced/Vectors.php",
                "<?php\nnamespace App\\Stores;\nuse Probots\\Pinecone\\Client;\nclass Vectors {\n    private Client $client;\n    \
                 public function __construct() { $this->client = new Client($key); }\n    public function getVectors(): Client { \
                 return $this->client; }\n}\n",
            ),
            (
                "routes/web.php",
                "<?php\nuse App\\Stores\\Vectors;\n$pinecone = (new Vectors())->getVectors();\n$pinecone->index($name)->vectors()->upsert($v);\n",
            ),
        ],
        "app/Misplaced/Vectors.php:6 client vector_store pinecone unknown certain
         routes/web.php:4 call vector_store pinecone unknown likely",
    );
}

#[test]
fn a_class_of_the_repository_is_not_the_librarys_of_the_same_name() {
    check_files(
        &[
            (
                "src/OpenAI.php",
                "<?php\nnamespace Acme\\Bot;\nclass OpenAI {\n    public static function client() { return 1; }\n}\n",
            ),
            ("src/Bot.php", "<?php\nnamespace Acme\\Bot;\nuse Acme\\Bot\\OpenAI;\n$client = OpenAI::client();\n"),
        ],
        "",
    );
}

#[test]
fn what_a_branch_makes_an_object_of_the_repository_may_still_be_the_librarys() {
    check(
        "a.php",
        "<?php\nuse Orhanerday\\OpenAi\\OpenAi;\nfunction f($on) {\n    $ai = new OpenAi($key);\n    if ($on) {\n        \
         $ai = new OwnClient($meta);\n    }\n    return $ai->chat(['model' => 'gpt-4o']);\n}\n",
        "4 client client openai unknown certain
         8 call chat openai gpt-4o certain",
    );
}

#[test]
fn an_agent_is_asked_in_a_file_that_names_no_library() {
    let agent = "<?php\nnamespace App\\Agents;\nuse Laravel\\Ai\\Contracts\\Agent;\nuse Laravel\\Ai\\Promptable;\nclass Adviser \
                 implements Agent {\n    use Promptable;\n}\n";
    let command = "<?php\nnamespace App;\nuse App\\Agents\\Adviser;\n$answer = (new Adviser)->prompt($goal);\n";
    let files = [("app/Agents/Adviser.php".to_owned(), crate::scan::read("app/Agents/Adviser.php", agent, false))];
    let linker = crate::scan::Linker::new(&files);
    let wanted = crate::scan::Wanted::of((0..linker.len()).flat_map(|part| linker.shared(part)));
    assert!(crate::scan::read("app/a.php", command, false).was_passed_over());
    assert!(wanted.is_some_and(|wanted| wanted.is_in(command)));
}

#[test]
fn a_file_on_the_machine_is_no_address_and_writing_a_log_sends_nothing() {
    check("a.php", "<?php\n$handle = fopen(__DIR__ . '/v1/messages.txt', 'w');\n$kept = \"{$dir}/chat.txt\";\n", "");
    check(
        "a.rb",
        "class A\n  def f\n    log_request(\"https://api.anthropic.com/v1/messages/#{name}\")\n    \
         Net::HTTP.post(URI('https://api.anthropic.com/v1/messages'), body)\n  end\nend\n",
        "4 http chat anthropic unknown certain",
    );
}

#[test]
fn the_class_of_the_extension_is_known_in_its_own_namespace() {
    check(
        "examples/chat.php",
        "<?php\nnamespace OpenAI;\n$OpenAI = new OpenAI(api_key: \"k\");\n$chat = $OpenAI->chat(request: [\"model\" => \"gpt-3.5-turbo\", \"messages\" => []]);\n",
        "3 client client openai unknown certain
         4 call chat openai gpt-3.5-turbo certain",
    );
}

#[test]
fn what_goes_to_the_browser_is_no_request_and_a_model_may_be_given_by_a_caller() {
    check(
        "openai.php",
        "<?php\nfunction f($p) {\n    wp_send_json_success(['model' => 'gpt-4o', 'messages' => $p]);\n}\n",
        "",
    );
    check(
        "a.php",
        "<?php\ndefine('PLANNER', 'gpt-4o');\nclass A {\n    function f($p) { return $this->ask($p, PLANNER); }\n    function ask(string $p, string $model): string {\n        \
         $client = \\OpenAI::client($key);\n        return $client->chat()->create(['model' => $model, 'messages' => []])->id;\n    }\n}\n",
        "6 client client openai unknown certain
         7 call chat openai gpt-4o certain",
    );
}

#[test]
fn a_directory_of_the_machine_is_no_path_of_a_service() {
    check(
        "a.php",
        "<?php\n$url = 'https://api.openai.com/v1';\nfunction f() { return scandir(ROOT_PATH . '/converse'); }\n",
        "",
    );
}

#[test]
fn settings_of_laravel_send_nothing_and_a_stream_has_its_body_in_its_context() {
    check(
        "config/services.php",
        "<?php\nreturn ['gemini' => ['url' => env('GEMINI_URL', 'https://generativelanguage.googleapis.com/v1beta/models')]];\n",
        "",
    );
    check(
        "chat.php",
        "<?php\n$data = array('model' => 'mistral-large-latest', 'messages' => $m);\n$options = array('http' => array('method' => 'POST', 'content' => \
         json_encode($data)));\n$context = stream_context_create($options);\n\
         $response = file_get_contents('https://api.mistral.ai/v1/chat/completions', false, $context);\n",
        "5 http chat mistral mistral-large-latest certain",
    );
}

#[test]
fn a_function_of_the_file_that_sends_is_the_place_and_not_who_calls_it() {
    check(
        "app/Services/OpenAIService.php",
        "<?php\nclass OpenAIService {\n    private $apiUrl = 'https://api.openai.com/v1/chat/completions';\n    \
         public function ask($messages) {\n        $payload = ['model' => 'gpt-4o', 'messages' => $messages];\n        \
         $kept = session()->get('messages', []);\n        return $this->request($payload);\n    }\n    \
         private function request(array $payload): array {\n        $ch = curl_init($this->apiUrl);\n        \
         curl_setopt($ch, CURLOPT_POSTFIELDS, json_encode($payload));\n        return json_decode(curl_exec($ch), true);\n    }\n}\n",
        "10 http chat openai gpt-4o certain",
    );
    check_files(
        &[
            (
                "send.php",
                "<?php\nfunction request_chatgpt($body) {\n    $answer = wp_remote_post('https://api.openai.com/v1/chat/completions', ['body' => $body]);\n    \
                 return $answer;\n}\n",
            ),
            ("chatgpt.php", "<?php\n$text = request_chatgpt(['model' => 'gpt-4o', 'messages' => []]);\n"),
        ],
        "send.php:3 http chat openai unknown certain",
    );
}

#[test]
fn constants_of_the_class_and_names_that_are_joined_say_the_model() {
    check(
        "a.php",
        "<?php\nclass A {\n    private const API = 'https://api.anthropic.com/v1/messages';\n    private const MODEL = 'claude-3-5-haiku-latest';\n    \
         private $base = 'https://generativelanguage.googleapis.com/v1beta/models/';\n    private $model = 'gemini-2.0-flash';\n    \
         public function f($m) {\n        Http::post(self::API, ['model' => self::MODEL, 'messages' => $m]);\n        \
         $url = $this->base . $this->model . ':generateContent?key=' . $this->key;\n        \
         Http::post($url, ['contents' => [['parts' => $m]]]);\n    }\n}\n",
        "8 http chat anthropic claude-3-5-haiku-latest certain
         10 http chat google gemini-2.0-flash certain",
    );
}

#[test]
fn a_prompt_that_the_vendor_keeps_is_asked_for_by_its_id() {
    check(
        "app/Services/OpenAIService.php",
        "<?php\nclass OpenAIService {\n    public function f($q) {\n        Http::withToken($this->key)->post($this->url, [\n            \
         'prompt' => ['id' => $this->promptId, 'variables' => ['questions' => $q]],\n        ]);\n    }\n}\n",
        "4 http responses openai unknown likely",
    );
}
