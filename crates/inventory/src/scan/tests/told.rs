//! Addresses that configuration tells, and clients and interfaces whose address is said elsewhere.

use super::check_files;

#[test]
fn an_address_under_a_key_of_configuration_is_sent_to_where_the_key_is_asked_for() {
    check_files(
        &[
            ("src/main/resources/application.properties", "api.url=https://api.deepseek.com/chat/completions\n"),
            (
                "src/main/java/a/Talks.java",
                "package a;\nimport cn.hutool.http.HttpRequest;\nclass Talks {\n  @Value(\"${api.url}\")\n  private String url;\n  String f(String json) {\n    \
                 return HttpRequest.post(url)\n      .body(json).execute().body();\n  }\n}\n",
            ),
        ],
        "src/main/java/a/Talks.java:7 http chat deepseek unknown certain",
    );
    check_files(
        &[
            ("appsettings.json", "{\"Groq\": {\"Url\": \"https://api.groq.com/openai/v1/chat/completions\"}}\n"),
            (
                "Asks.cs",
                "class Asks {\n  async Task F(HttpClient http, IConfiguration settings) {\n    await http.PostAsync(settings[\"Groq:Url\"], body);\n    \
                 await http.PostAsync(settings[\"Other:Url\"], body);\n  }\n}\n",
            ),
        ],
        "Asks.cs:3 http chat groq unknown certain",
    );
    check_files(
        &[
            ("appsettings.json", "{\"OpenAI\": {\"BaseAddress\": \"https://api.openai.com/v1\"}}\n"),
            (
                "Account.cs",
                "class Account {\n  // openai\n  object F() => new HttpRequestMessage(HttpMethod.Get, $\"{_settings.BaseAddress}/user/files\");\n}\n",
            ),
        ],
        "",
    );
}

#[test]
fn what_springs_client_posts_to_its_own_address_is_found_at_the_post() {
    check_files(
        &[
            ("application.yml", "chat:\n  url: https://api.openai.com/v1/chat/completions\n"),
            (
                "Chat.java",
                "class Chat {\n  private final RestClient client;\n  Chat(@Value(\"${chat.url}\") String url) {\n    this.client = \
                 RestClient.builder().baseUrl(url).build();\n  }\n  Object f() {\n    return client.post().body(request)\n      .retrieve().body(A.class);\n  }\n}\n",
            ),
        ],
        "Chat.java:7 http chat openai unknown certain",
    );
    check_files(
        &[
            (
                "Config.java",
                "class Config {\n  WebClient gemini() {\n    return WebClient.create(\"https://generativelanguage.googleapis.com/v1beta/models/gemini-2.0-flash:generateContent\");\n  }\n}\n",
            ),
            (
                "Asks.java",
                "class Asks {\n  Config config; // gemini\n  Object f() {\n    return config.gemini().post()\n      .uri(b -> b.queryParam(\"key\", k).build()).bodyValue(x).retrieve();\n  }\n}\n",
            ),
        ],
        "Asks.java:4 http chat google gemini-2.0-flash certain
         Config.java:3 http chat google gemini-2.0-flash likely",
    );
}

#[test]
fn interfaces_whose_annotations_have_the_paths_are_sites_of_the_vendor_that_their_file_names() {
    check_files(
        &[(
            "OpenAiService.kt",
            "import retrofit2.http.GET\nimport retrofit2.http.POST\ninterface OpenAiService {\n  @GET(\"models\")\n  fun models(): Call<R>\n  \
             @POST(\"chat/completions\")\n  fun chat(@Body q: Q): Call<R>\n}\n",
        )],
        "4 http models openai unknown likely
         6 http chat openai unknown likely",
    );
    check_files(
        &[(
            "OpenAiController.java",
            "import org.springframework.web.bind.annotation.PostMapping;\nclass OpenAiController {\n  @PostMapping(\"/models\")\n  R models() { return null; }\n}\n",
        )],
        "",
    );
}

#[test]
fn a_request_that_has_a_name_is_found_where_it_is_sent() {
    check_files(
        &[(
            "Demo.java",
            "class Demo {\n  void f() {\n    Request request = new Request.Builder()\n        .addHeader(\"a\", k)\n        \
             .url(\"https://api.deepseek.com/chat/completions\")\n        .post(body)\n        .build();\n    Response r = client.newCall(request).execute();\n  }\n}\n",
        )],
        "8 http chat deepseek unknown certain",
    );
}

#[test]
fn models_that_setters_give_and_that_a_format_fills_in_are_known() {
    check_files(
        &[(
            "A.java",
            "import com.azure.ai.inference.ChatCompletionsClient;\nclass A {\n  static final String MODEL = \"gpt-4o\";\n  void f(ChatCompletionsClient client) {\n    \
             ChatCompletionsOptions options = new ChatCompletionsOptions(m);\n    options.setModel(\"DeepSeek-R1\");\n    client.complete(options);\n  }\n  \
             void g() throws Exception {\n    HttpURLConnection c = (HttpURLConnection) new URL(\"https://api.openai.com/v1/chat/completions\").openConnection();\n    \
             String body = String.format(\"{\\\"model\\\": \\\"%s\\\", \\\"messages\\\": []}\", MODEL);\n    c.getOutputStream().write(body.getBytes());\n  }\n}\n",
        )],
        "7 call chat azure-ai DeepSeek-R1 certain
         10 http chat openai gpt-4o certain",
    );
}

#[test]
fn a_package_of_pythons_repository_that_is_called_like_a_library_is_none() {
    check_files(
        &[
            ("agents/agent.py", "class Agent:\n    pass\n"),
            ("main.py", "from agents.agent import Agent\nagent = Agent(name=\"a\", model=\"gpt-4o\")\n"),
        ],
        "",
    );
    check_files(
        &[
            ("agents/agent.py", "class Agent:\n    pass\n"),
            ("pyproject.toml", "[project]\nname = \"openai-agents\"\n"),
            ("examples/main.py", "from agents import Agent\nagent = Agent(name=\"a\", model=\"gpt-4o\")\n"),
        ],
        "examples/main.py:2 adapter chat openai gpt-4o certain",
    );
}

#[test]
fn a_function_of_go_that_is_called_a_request_sends_what_a_method_of_http_stands_beside() {
    check_files(
        &[(
            "audio.go",
            "package audio\n\nconst base = \"/v1/audio\"\nconst speech = base + \"/speech\"\n\nfunc f() {\n\tapi.GenericRequest(nil, b, speech, \"POST\", u)\n\t\
             api.GenericRequest(nil, b, \"/v1/chat/completions\", \"POST\", u)\n}\n",
        )],
        "7 http audio openai-compatible unknown likely
         8 http chat openai-compatible unknown likely",
    );
}

#[test]
fn libraries_of_csharp_and_java_that_no_rule_knows_are_known_by_the_vendor_in_their_name() {
    check_files(
        &[(
            "A.cs",
            "using OpenAiNg;\nclass A {\n  async Task F() {\n    var client = new OpenAiClient(key);\n    await client.ChatAsync(\"Hi\");\n  }\n}\n",
        )],
        "4 client client openai unknown likely
         5 call chat openai unknown likely",
    );
    check_files(
        &[(
            "src/com/acme/app/A.java",
            "package com.acme.app;\nimport io.github.someone.openai.OpenAiClient;\nclass A {\n  void f() {\n    OpenAiClient client = new OpenAiClient(key);\n    \
             client.chat(\"Hi\");\n  }\n}\n",
        )],
        "5 client client openai unknown likely
         6 call chat openai unknown likely",
    );
    check_files(
        &[
            (
                "src/com/acme/openai/OpenAiClient.java",
                "package com.acme.openai;\nclass OpenAiClient {\n  String chat(String a) { return a; }\n}\n",
            ),
            (
                "src/com/acme/app/A.java",
                "package com.acme.app;\nimport com.acme.openai.OpenAiClient;\nclass A {\n  void f() {\n    new OpenAiClient().chat(\"Hi\");\n  }\n}\n",
            ),
        ],
        "",
    );
}
