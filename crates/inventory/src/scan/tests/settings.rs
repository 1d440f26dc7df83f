//! What is sent where settings say the host: by the body, the path, and the names of files and settings.

use super::{check, check_files, is_candidate};

#[test]
fn a_handle_of_curl_says_what_is_asked_and_its_settings_whose_it_is() {
    check(
        "api/summary.php",
        "<?php\nfunction ask($messages) {\n    $payload = ['model' => MODEL, 'messages' => $messages];\n    $ch = curl_init();\n    \
         curl_setopt($ch, CURLOPT_URL, GROQ_API_URL);\n    curl_setopt($ch, CURLOPT_POSTFIELDS, json_encode($payload));\n    \
         return curl_exec($ch);\n}\n",
        "7 http chat groq variable likely",
    );
    check(
        "api/other.php",
        "<?php\n$ch = curl_init(SHOP_URL);\ncurl_setopt($ch, CURLOPT_POSTFIELDS, json_encode(['order' => 1]));\ncurl_exec($ch);\n",
        "",
    );
}

#[test]
fn the_model_of_a_handle_of_curl_is_in_its_body() {
    check(
        "a.php",
        "<?php\n$ch = curl_init('https://api.openai.com/v1/chat/completions');\n\
         curl_setopt_array($ch, [CURLOPT_POST => true, CURLOPT_POSTFIELDS => json_encode(['model' => 'gpt-4o', 'messages' => $m])]);\n\
         $answer = json_decode(curl_exec($ch), true);\n",
        "2 http chat openai gpt-4o certain",
    );
}

#[test]
fn a_post_of_php_is_known_by_its_body_and_the_name_of_its_file() {
    check(
        "includes/call-deepseek.php",
        "<?php\nfunction f($model, $messages) {\n    $body = json_encode(array('model' => $model, 'messages' => $messages));\n    \
         $answer = wp_remote_post(get_api_url(), array('body' => $body));\n    wp_remote_post(get_shop_url(), array('body' => 'x'));\n}\n",
        "4 http chat deepseek variable likely",
    );
}

#[test]
fn a_path_that_a_transport_is_given_is_the_vendors_the_file_is_for() {
    check(
        "app/Apis/Anthropic.php",
        "<?php\nclass Anthropic {\n    function models() { return $this->request->call('GET', 'models'); }\n    \
         function chat($body) { return $this->request->call('POST', 'messages', $body); }\n    \
         function setting() { return $this->config->get('models'); }\n}\n",
        "3 http models anthropic unknown likely
         4 http chat anthropic unknown likely",
    );
    check(
        "lib/open_ai/create_run.rb",
        "module OpenAI\n  class CreateRun\n    def call\n      client.post(\"/v1/threads/#{id}/runs\", { body: data })\n    end\n  end\nend\n",
        "4 http assistants openai unknown likely",
    );
    check(
        "app/PineconeService.php",
        "<?php\nclass PineconeService {\n    function upsert($records) {\n        \
         return $this->post('vectors/upsert', ['vectors' => $records]);\n    }\n}\n",
        "4 http vector_store pinecone unknown likely",
    );
}

#[test]
fn a_word_is_joined_to_a_vendors_base() {
    check(
        "a.php",
        "<?php\nfunction f($body) {\n    $base = apply_filters('x', 'https://api.anthropic.com/v1');\n    \
         $url = trailingslashit($base) . 'messages';\n    return wp_remote_post($url, $body);\n}\n",
        "5 http chat anthropic unknown certain",
    );
}

#[test]
fn a_body_that_a_function_builds_and_a_form_say_the_model() {
    check(
        "src/api.rs",
        "pub async fn ask(client: Client) {\n    let body = build_body();\n    \
         client.post(\"https://api.openai.com/v1/chat/completions\").json(&body).send().await;\n}\n\
         fn build_body() -> Value {\n    serde_json::json!({\"model\": \"gpt-4o-mini\", \"messages\": []})\n}\n",
        "3 http chat openai gpt-4o-mini certain",
    );
    check(
        "A.cs",
        "class A {\n    async Task F(HttpClient client) {\n        var form = new MultipartFormDataContent();\n        \
         form.Add(new StringContent(\"whisper-1\"), \"model\");\n        \
         await client.PostAsync(\"https://api.openai.com/v1/audio/transcriptions\", form);\n    }\n}\n",
        "5 http audio openai whisper-1 certain",
    );
}

#[test]
fn symbols_of_ruby_in_quotes_are_texts() {
    check_files(
        &[(
            "a.rb",
            "require 'openai'\nclient = OpenAI::Client.new\nclient.chat.completions.create(messages: [], model: :\"gpt-4.1\")\n",
        )],
        "2 client client openai unknown certain
         3 call chat openai gpt-4.1 certain",
    );
}

#[test]
fn a_client_of_rest_sharp_has_the_address_and_its_request_is_sent() {
    check(
        "A.cs",
        "class A {\n    const string Url = \"https://api.openai.com/v1/completions\";\n    async Task F() {\n        \
         var client = new RestClient(Url);\n        var request = new RestRequest(\"\", Method.Post);\n        \
         request.AddJsonBody(data);\n        await client.ExecuteAsync(request);\n    }\n}\n",
        "7 http completions openai unknown certain",
    );
}

#[test]
fn a_post_of_csharp_is_known_by_its_body_and_the_name_of_its_file() {
    check(
        "TranslatorDeepSeek.cs",
        "class T {\n    async Task F() {\n        var data = new { model = Model, messages = Messages };\n        \
         var json = JsonConvert.SerializeObject(data);\n        await HttpUtil.PostAsync(builder.Uri, json, key);\n    }\n}\n",
        "5 http chat deepseek variable likely",
    );
}

#[test]
fn options_of_curl_that_are_set_one_by_one_keep_the_address() {
    check(
        "a.php",
        "<?php\nclass A {\n    private $path;\n    function __construct(string $path = 'https://api.openai.com/v1/responses') {\n        \
         $this->path = $path;\n    }\n    function f($json, $more) {\n        $url = $this->path;\n        $ch = curl_init();\n        \
         $options = [CURLOPT_URL => $url, CURLOPT_POSTFIELDS => $json];\n        $options[CURLOPT_TIMEOUT] = 20;\n        \
         curl_setopt_array($ch, $options);\n        return curl_exec($ch);\n    }\n}\n",
        "12 http responses openai unknown certain",
    );
}

#[test]
fn a_handle_in_a_class_of_a_vendor_asks_what_its_function_is_called() {
    check(
        "models/AzureOpenAIClient.php",
        "<?php\nclass AzureOpenAIClient {\n    function image($options) {\n        $ch = curl_init($this->url);\n        \
         curl_setopt($ch, CURLOPT_POSTFIELDS, $options);\n        $answer = curl_exec($ch);\n        return $answer;\n    }\n}\n",
        "6 http images azure-openai unknown likely",
    );
}

#[test]
fn what_is_asked_of_a_framework_is_asked_of_whom_the_build_file_of_its_module_brings() {
    let java = "import org.springframework.ai.chat.client.ChatClient;\nclass A {\n  void f(ChatClient.Builder b) {\n    b.build().prompt(\"x\").call();\n  }\n}\n";
    let pom = |starter: &str| {
        format!(
            "<project>\n<!-- <dependency><groupId>org.springframework.ai</groupId><artifactId>spring-ai-starter-model-mistral-ai</artifactId></dependency> -->\n\
             <dependency><groupId>org.springframework.ai</groupId><artifactId>{starter}</artifactId></dependency>\n</project>\n"
        )
    };
    let both = pom("spring-ai-starter-model-openai") + &pom("spring-ai-starter-model-anthropic");
    let gradle = "dependencies {\n  implementation 'org.springframework.ai:spring-ai-openai-spring-boot-starter'\n}\n";
    let quiet = "import dev.langchain4j.model.chat.ChatModel;\nclass Q {\n  ChatModel model;\n  void f() { model.chat(\"x\"); }\n}\n";
    check_files(
        &[
            ("pom.xml", &pom("spring-ai-starter-model-anthropic")),
            ("a/src/main/java/A.java", java),
            ("b/build.gradle", gradle),
            ("b/src/main/java/A.java", java),
            ("c/pom.xml", &pom("spring-ai-starter-model-ollama")),
            ("c/src/main/java/A.java", java),
            ("d/pom.xml", &both),
            ("d/src/main/java/A.java", java),
            (
                "d/src/main/resources/application.properties",
                "#spring.ai.openai.api-key=k\nspring.ai.anthropic.api-key=k\n",
            ),
            ("e/pom.xml", &both),
            ("e/src/main/java/A.java", java),
            ("f/pom.xml", &both),
            ("f/src/main/java/A.java", java),
            ("f/src/main/resources/application.yml", "spring:\n  ai:\n    model:\n      chat: openai\n"),
            ("g/build.gradle", "  implementation(\"io.quarkiverse.langchain4j:quarkus-langchain4j-mistral-ai:1.0\")\n"),
            ("g/Q.java", quiet),
        ],
        "a/src/main/java/A.java:4 call chat anthropic unknown certain
         b/src/main/java/A.java:4 call chat openai unknown certain
         c/src/main/java/A.java:4 call chat self-hosted unknown possible
         d/src/main/java/A.java:4 call chat anthropic unknown certain
         e/src/main/java/A.java:4 call chat unknown unknown certain
         f/src/main/java/A.java:4 call chat openai unknown certain
         g/Q.java:4 call chat mistral unknown certain",
    );
}

#[test]
fn a_framework_that_is_handed_a_model_of_ones_own_machine_asks_no_vendor() {
    check(
        "A.java",
        "import org.springframework.ai.chat.client.ChatClient;\nimport org.springframework.ai.ollama.OllamaChatModel;\n\
         import org.springframework.ai.anthropic.AnthropicChatModel;\nclass A {\n  void f(AnthropicChatModel paid, OllamaChatModel own) {\n    \
         ChatClient one = ChatClient.builder(own).build();\n    one.prompt(\"x\").call();\n    ChatClient two = ChatClient.builder(paid).build();\n    \
         two.prompt(\"x\").call();\n  }\n}\n",
        "8 adapter chat anthropic unknown certain
         9 call chat anthropic unknown certain",
    );
    assert!(
        !is_candidate(".version-backups/1/A.java") && is_candidate("backups/A.java") && is_candidate(".github/a.yml")
    );
}

#[test]
fn a_framework_that_the_repository_sets_up_for_one_vendor_asks_that_one_and_of_several_nobody_knows() {
    let asks = "using Microsoft.SemanticKernel;\nclass B {\n  async Task F(Kernel kernel) {\n    await kernel.InvokePromptAsync(\"Hi\");\n  }\n}\n";
    let sets_up = |names: &[&str]| {
        let lines: Vec<String> =
            names.iter().map(|name| format!("    builder.Add{name}ChatCompletion(id, e, k);\n")).collect();
        format!(
            "using Microsoft.SemanticKernel;\nclass A {{\n  void F(IKernelBuilder builder) {{\n{}  }}\n}}\n",
            lines.concat()
        )
    };
    check_files(
        &[("A.cs", &sets_up(&["AzureOpenAI"])), ("B.cs", asks)],
        "A.cs:4 adapter chat azure-openai unknown certain
         B.cs:4 call chat azure-openai unknown certain",
    );
    check_files(
        &[("A.cs", &sets_up(&["AzureOpenAI", "OpenAI"])), ("B.cs", asks)],
        "A.cs:4 adapter chat azure-openai unknown certain
         A.cs:5 adapter chat openai unknown certain
         B.cs:4 call chat unknown unknown certain",
    );
}
