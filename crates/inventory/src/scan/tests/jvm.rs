//! Java and Kotlin: builders, services that a framework makes, enumerations.

use super::{check, check_files};

#[test]
fn a_model_is_found_in_options_that_a_builder_is_given() {
    check(
        "A.java",
        "import dev.langchain4j.model.openai.*;\nimport dev.langchain4j.model.chat.request.ChatRequestParameters;\nclass A {\n  void f() {\n    \
         ChatRequestParameters parameters = ChatRequestParameters.builder().modelName(GPT_4_1.toString()).build();\n    \
         OpenAiChatModel model = OpenAiChatModel.builder().defaultRequestParameters(parameters).build();\n    \
         OpenAiLanguageModel old = OpenAiLanguageModel.builder().modelName(\"gpt-3.5-turbo-instruct\").build();\n    old.generate(\"x\");\n  }\n}\n",
        "6 client chat openai gpt-4.1 certain
         7 client completions openai gpt-3.5-turbo-instruct certain
         8 call completions openai unknown certain",
    );
    check(
        "A.java",
        "import org.springframework.ai.chat.client.ChatClient;\nimport org.springframework.ai.openai.OpenAiChatOptions;\nclass A {\n  \
         private final ChatClient chatClient;\n  String f() {\n    return \
         chatClient.prompt().options(OpenAiChatOptions.builder().model(\"gpt-4o\").build()).user(\"x\").call().content();\n  }\n}\n",
        "6 call chat openai gpt-4o certain",
    );
}

#[test]
fn a_builder_that_a_lambda_fills_in_is_read() {
    check(
        "A.java",
        "import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeClient;\nclass A {\n  void f(BedrockRuntimeClient client) {\n    \
         client.invokeModel(request -> request.body(b).modelId(\"anthropic.claude-3-haiku-20240307-v1:0\"));\n  }\n}\n",
        "4 call chat aws-bedrock anthropic.claude-3-haiku-20240307-v1:0 certain",
    );
    check(
        "A.kt",
        "import com.aallam.openai.client.OpenAI\nimport com.aallam.openai.api.chat.chatCompletionRequest\nfun f(openai: OpenAI) {\n  \
         openai.chatCompletion(chatCompletionRequest {\n    model = ModelId(\"gpt-4o\")\n    messages { user { content = \"x\" } }\n  })\n}\n",
        "4 call chat openai gpt-4o certain",
    );
}

#[test]
fn a_service_that_a_framework_makes_of_an_interface_answers() {
    check_files(
        &[
            (
                "a/Agent.java",
                "package a;\nimport io.quarkiverse.langchain4j.RegisterAiService;\n@RegisterAiService(tools = T.class)\npublic interface Agent {\n  \
                 String chat(String message);\n}\n",
            ),
            (
                "a/Socket.java",
                "package a;\nclass Socket {\n  Agent agent;\n  String f(String m) { return agent.chat(m); }\n}\n",
            ),
            (
                "a/Config.java",
                "package a;\nimport dev.langchain4j.service.AiServices;\nimport dev.langchain4j.model.openai.OpenAiChatModel;\nclass Config {\n  \
                 Helper helper() {\n    OpenAiChatModel model = OpenAiChatModel.withApiKey(k);\n    return AiServices.create(Helper.class, model);\n  }\n}\n",
            ),
            (
                "c/Build.java",
                "package c;\nimport dev.langchain4j.service.AiServices;\nimport dev.langchain4j.model.chat.ChatModel;\nclass Build {\n  \
                 void f(ChatModel model, Helper other) {\n    Agent agent = AiServices.builder(Agent.class)\n      .chatModel(model)\n      \
                 .chatMemory(m)\n      .build();\n    agent.ask(\"x\");\n    other.ask(\"x\");\n    var builder = AiServices.builder(Tool.class).chatModel(model).tools(t);\n    builder.chatMemory(m);\n    Tool tool = \
                 builder.build();\n    tool.use(\"x\");\n  }\n}\n",
            ),
            (
                "b/Use.java",
                "package b;\nimport a.Helper;\nclass Use {\n  private final Helper own;\n  void f() { own.ask(\"x\"); }\n}\n",
            ),
        ],
        "a/Config.java:6 client chat openai unknown certain
         a/Socket.java:4 call chat openai unknown certain
         b/Use.java:5 call chat openai unknown certain
         c/Build.java:10 call chat openai unknown certain
         c/Build.java:15 call chat openai unknown certain",
    );
}

#[test]
fn the_text_of_an_enumeration_of_the_repository_is_a_model() {
    check_files(
        &[
            (
                "M.java",
                "enum M {\n  FAST(\"Fast and small\", \"gpt-4o-mini\", 1), BEST(\"Best\", \"gpt-4o\", f(2));\n}\n",
            ),
            (
                "A.java",
                "import com.theokanning.openai.service.OpenAiService;\nclass A {\n  void f(OpenAiService s) {\n    \
                 s.createChatCompletion(ChatCompletionRequest.builder().model(M.FAST.getId()).build());\n  }\n}\n",
            ),
        ],
        "A.java:4 call chat openai gpt-4o-mini certain",
    );
}

#[test]
fn an_interface_of_requests_is_a_place_where_they_are_sent_and_a_controller_is_none() {
    check(
        "A.java",
        "import retrofit2.http.POST;\ninterface A {\n  @POST(\"v1/chat/completions\")\n  Call<R> chat(@Body Q q);\n}\n",
        "3 http chat openai-compatible unknown likely",
    );
    check(
        "A.java",
        "interface A {\n  @PostMapping(\"/v1/chat/completions\")\n  R chat(Q q);\n}\n",
        "2 http chat openai-compatible unknown possible",
    );
}

#[test]
fn handlers_of_a_client_are_parts_of_it() {
    check(
        "A.java",
        "import com.cjcrafter.openai.OpenAI;\nclass A {\n  void f() {\n    OpenAI openai = OpenAI.builder().apiKey(k).build();\n    \
         openai.createChatCompletion(request);\n    openai.threads().messages(thread).create(request);\n    \
         openai.threads().runs(thread).steps(run).list();\n    openai.moderations().create(request);\n  }\n}\n",
        "4 client client openai unknown certain
         5 call chat openai unknown certain
         6 call assistants openai unknown certain
         7 call assistants openai unknown certain
         8 call moderation openai unknown certain",
    );
}

#[test]
fn a_list_of_a_vendors_models_is_asked_for() {
    check(
        "A.kt",
        "import dev.langchain4j.model.mistralai.MistralAiModels\nfun f() {\n  val models = MistralAiModels.builder().apiKey(k).build()\n  \
         models.availableModels()\n}\n",
        "3 client models mistral unknown certain
         4 call models mistral unknown certain",
    );
}

#[test]
fn a_path_on_a_base_of_the_settings_is_of_the_vendor_that_the_file_is_for() {
    check(
        "src/ClaudeProvider.kt",
        "class ClaudeProvider {\n  suspend fun f() {\n    val request = Request.Builder().url(\"${setting.baseUrl}/messages\").build()\n    \
         val endpoint = if (api.endsWith(\"/\")) \"${api}files\" else \"$api/files\"\n    client.preparePost(endpoint) { setBody(b) }\n  }\n}\n",
        "3 http chat anthropic unknown likely
         5 http files anthropic unknown likely",
    );
    check("src/OllamaClaude.kt", "fun f() {\n  client.post(\"$baseUrl/messages\")\n}\n", "");
    check("src/Mailer.kt", "fun f() {\n  client.post(\"$baseUrl/messages\")\n}\n", "");
}

#[test]
fn addresses_in_a_test_that_nobody_sends_to_are_possible_at_most() {
    check(
        "src/test/java/A.java",
        "class A {\n  void f() {\n    Model model = new Model(\"k\", \"https://api.openai.com/v1/chat/completions\");\n  }\n}\n",
        "3 http chat openai unknown possible",
    );
}

#[test]
fn what_is_posted_to_an_address_of_the_settings_is_asked_of_whom_the_file_is_for() {
    let body = "    ObjectNode body = mapper.createObjectNode();\n    body.put(\"model\", model);\n    body.putArray(\"messages\");\n";
    let posted = "    HttpPost post = new HttpPost(apiPath);\n    post.setEntity(new StringEntity(body.toString()));\n    client.execute(post);\n";
    check(
        "remote/kimi/KimiModel.java",
        &format!("class A {{\n  void f() {{\n{body}{posted}  }}\n}}\n"),
        "8 http chat moonshot variable likely",
    );
    // A key is asked for, a file is nobody's, and nothing of a model is in the file.
    check(
        "remote/kimi/KimiModel.java",
        &format!("class A {{\n  void f() {{\n{body}    new HttpPost(tokenUrl);\n  }}\n}}\n"),
        "",
    );
    check("remote/Model.java", &format!("class A {{\n  void f() {{\n{body}{posted}  }}\n}}\n"), "");
    check("remote/kimi/KimiModel.java", &format!("class A {{\n  void f() {{\n{posted}  }}\n}}\n"), "");
    check(
        "OpenAiClient.kt",
        "class A(val http: HttpClient) {\n  val url = settings.url\n  fun f() {\n    val body = ChatRequest(model = m, messages = all)\n    \
         http.send(HttpRequest.newBuilder().uri(URI.create(url)).POST(of(body)).build())\n    \
         http.send(HttpRequest.newBuilder().uri(URI.create(\"https://example.com\")).POST(of(body)).build())\n  }\n}\n",
        "5 http chat openai variable likely",
    );
}

#[test]
fn a_builder_that_is_a_class_within_the_class_makes_its_object() {
    check(
        "A.java",
        "import dev.langchain4j.model.openai.OpenAiChatModel;\nimport com.google.genai.Client;\nclass A {\n  void f() {\n    \
         ChatLanguageModel model = new OpenAiChatModel.OpenAiChatModelBuilder().modelName(\"gpt-4o\").build();\n    model.chat(\"x\");\n    \
         Client client = new Client.Builder().apiKey(k).build();\n    client.models.list(c);\n  }\n}\n",
        "5 client chat openai gpt-4o certain
         6 call chat openai unknown certain
         7 client client google unknown certain
         8 call models google unknown certain",
    );
}

#[test]
fn libraries_of_vendors_in_china_and_of_firebase_are_known() {
    check(
        "A.java",
        "import com.alibaba.dashscope.aigc.generation.Generation;\nimport com.volcengine.ark.runtime.service.ArkService;\n\
         import com.zhipu.oapi.ClientV4;\nclass A {\n  void f() {\n    Generation generation = new Generation();\n    generation.streamCall(p);\n    \
         ArkService ark = ArkService.builder().apiKey(k).build();\n    ark.createChatCompletion(r);\n    \
         ClientV4 zhipu = new ClientV4.Builder(k).build();\n    zhipu.invokeModelApi(r);\n  }\n}\n",
        "6 client chat alibaba unknown certain
         7 call chat alibaba unknown certain streaming
         8 client client volcengine unknown certain
         9 call chat volcengine unknown certain
         10 client client zhipu unknown certain
         11 call chat zhipu unknown certain",
    );
    check(
        "A.kt",
        "import com.google.firebase.Firebase\nimport com.google.firebase.ai.ai\nfun f() {\n  \
         val model = Firebase.ai(backend = GenerativeBackend.googleAI()).generativeModel(\"gemini-2.0-flash\")\n  model.generateContent(p)\n}\n",
        "4 client chat google gemini-2.0-flash certain
         5 call chat google unknown certain",
    );
}

#[test]
fn a_model_is_followed_through_members_functions_and_what_they_are_given() {
    check(
        "A.java",
        "import com.openai.client.OpenAIClient;\nimport com.openai.models.*;\nclass A {\n  private final ChatModel chatModel = ChatModel.GPT_4O_MINI;\n  \
         private ChatCompletionCreateParams.Builder begin(String text) {\n    ChatCompletionCreateParams.Builder b = ChatCompletionCreateParams.builder().model(chatModel);\n    \
         return b;\n  }\n  void f(OpenAIClient client) {\n    ChatCompletionCreateParams params = begin(\"x\").build();\n    \
         client.chat().completions().create(params);\n  }\n}\n",
        "11 call chat openai gpt-4o-mini certain",
    );
    check(
        "A.java",
        "import com.google.cloud.vertexai.generativeai.GenerativeModel;\nclass A {\n  void f() {\n    \
         GenerativeModel model = new GenerativeModel.Builder().setModelName(\"gemini-1.5-flash-001\").setVertexAi(v).build();\n  }\n}\n",
        "4 client chat google-vertex gemini-1.5-flash-001 certain",
    );
    check(
        "A.kt",
        "import com.aallam.openai.client.OpenAI\nconst val NAME = \"ada\"\nsuspend fun f(openai: OpenAI) {\n  val id = ModelId(NAME)\n  \
         openai.completion(CompletionRequest(model = id, prompt = p))\n}\n",
        "5 call completions openai ada certain",
    );
}

#[test]
fn resources_of_a_try_and_labelled_returns_are_read() {
    check(
        "A.java",
        "import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeClient;\nclass A {\n  String f() {\n    \
         try (BedrockRuntimeClient runtime = BedrockRuntimeClient.builder().build()) {\n      var answer = runtime.converse(request);\n    }\n  }\n}\n",
        "4 client client aws-bedrock unknown certain
         5 call chat aws-bedrock unknown certain",
    );
    check(
        "A.kt",
        "import com.aallam.openai.client.OpenAI\nclass A {\n  fun f(openAI: OpenAI): String? = runBlocking {\n    \
         return@runBlocking openAI.chatCompletion(request).choices.first().message.content\n  }\n}\n",
        "4 call chat openai unknown certain",
    );
}

#[test]
fn a_path_that_a_test_answers_itself_is_no_site() {
    check(
        "src/test/kotlin/ATest.kt",
        "import com.github.tomakehurst.wiremock.client.WireMock\nclass ATest {\n  fun f() {\n    \
         stubFor(WireMock.post(WireMock.urlEqualTo(\"/v1/messages\")).willReturn(WireMock.aResponse()))\n  }\n}\n",
        "",
    );
}

#[test]
fn a_framework_in_a_file_for_a_server_of_ones_own_is_no_site() {
    let text = "import org.springframework.ai.chat.client.ChatClient;\nclass A {\n  private ChatClient chatClient;\n  String f() {\n    \
                return chatClient.prompt().user(\"x\").call().content();\n  }\n}\n";
    check("OllamaController.java", text, "5 call chat unknown unknown possible");
    check("ChatController.java", text, "5 call chat unknown unknown certain");
}

#[test]
fn paths_of_an_interface_are_of_the_api_that_one_of_them_says_or_that_its_client_is_for() {
    check(
        "a/Requests.java",
        "import retrofit2.http.POST;\ninterface Requests {\n  @POST(\"images/generations\")\n  Call<R> draw(@Body Q q);\n  @POST(\"threads\")\n  \
         Call<R> thread(@Body Q q);\n  @POST(\"login\")\n  Call<R> login(@Body Q q);\n}\n",
        "3 http images openai-compatible unknown likely
         5 http assistants openai-compatible unknown likely",
    );
    check_files(
        &[
            (
                "a/Api.kt",
                "import retrofit2.http.POST\ninterface Api {\n  @POST(\"assistants\")\n  suspend fun make(@Body q: Q): R\n}\n",
            ),
            (
                "a/Shop.kt",
                "import retrofit2.http.GET\ninterface Shop {\n  @GET(\"messages\")\n  suspend fun all(): R\n}\n",
            ),
            (
                "a/Network.kt",
                "object Network {\n  val api = Retrofit.Builder().baseUrl(\"https://api.openai.com/v1/\").build().create(Api::class.java)\n}\n",
            ),
        ],
        "a/Api.kt:3 http assistants openai unknown likely",
    );
}

#[test]
fn what_a_double_is_told_or_asked_is_sent_nowhere() {
    check(
        "src/test/java/ATest.java",
        "import static org.mockito.Mockito.*;\nclass ATest {\n  void f() {\n    \
         when(http.exchange(eq(\"https://api.openai.com/v1/chat/completions\"), any(), any())).thenReturn(r);\n    \
         when(http.postForObject(\"https://api.openai.com/v1/chat/completions\", q, R.class)).thenReturn(r);\n    \
         verify(http).postForObject(\"https://api.openai.com/v1/chat/completions\", q, R.class);\n    \
         http.postForObject(\"https://api.openai.com/v1/chat/completions\", q, R.class);\n  }\n}\n",
        "7 http chat openai unknown certain",
    );
    check(
        "src/test/kotlin/ATest.kt",
        "import io.mockk.every\nclass ATest {\n  fun f() {\n    every { http.post(\"https://api.openai.com/v1/chat/completions\", body) } returns \
         answer\n    http.post(\"https://api.openai.com/v1/chat/completions\", body)\n  }\n}\n",
        "5 http chat openai unknown certain",
    );
}

#[test]
fn an_address_that_a_builder_of_texts_puts_together_is_one() {
    check(
        "openai/A.java",
        "class A {\n  private static final String PATH = \"/v1/images/generations\";\n  R f(Q q) {\n    String url = new \
         StringBuilder().append(settings.getBaseUrl()).append(PATH).toString();\n    return \
         client().preparePost(url).setBody(json(q)).execute();\n  }\n}\n",
        "5 http images openai unknown likely",
    );
}

#[test]
fn a_connection_is_a_place_where_it_is_opened_not_where_it_is_read() {
    check(
        "A.java",
        "class A {\n  String f(String prompt) {\n    URL url = new URL(\"https://api.openai.com/v1/completions\");\n    HttpURLConnection conn = \
         (HttpURLConnection) url.openConnection();\n    JSONObject body = new JSONObject();\n    body.put(\"model\", \
         \"gpt-3.5-turbo-instruct\");\n    conn.getOutputStream().write(body.toString().getBytes());\n    return new BufferedReader(new \
         InputStreamReader(conn.getInputStream())).readLine();\n  }\n}\n",
        "4 http completions openai gpt-3.5-turbo-instruct certain",
    );
}

#[test]
fn names_in_a_text_of_kotlin_are_filled_in() {
    check(
        "A.kt",
        "class A {\n  private val base = \"https://generativelanguage.googleapis.com/v1beta/models\"\n  fun f(model: String): R {\n    val url = \
         URL(\"$base/$model:predict\")\n    val conn = url.openConnection() as HttpURLConnection\n    return read(conn)\n  }\n}\n",
        "5 http images google unknown certain",
    );
    check(
        "A.kt",
        "class A {\n  fun f(): R {\n    val body = JsonObject().apply {\n      addProperty(\"model\", \"gpt-4o\")\n    }\n    val request = \
         Request.Builder().url(\"https://api.openai.com/v1/chat/completions\").post(body.toString().toRequestBody()).build()\n    return \
         client.newCall(request).execute()\n  }\n}\n",
        "7 http chat openai gpt-4o certain",
    );
}

#[test]
fn a_store_of_vectors_is_one_of_a_service_where_the_build_file_brings_it_in() {
    let class = "import org.springframework.ai.vectorstore.VectorStore;\nclass A {\n  private final VectorStore store;\n  void f() {\n    \
                 store.similaritySearch(q);\n    store.add(all);\n  }\n}\n";
    let build = |starter: &str| {
        format!(
            "<dependency>\n<groupId>org.springframework.ai</groupId>\n<artifactId>{starter}</artifactId>\n</dependency>\n"
        )
    };
    check_files(
        &[("pom.xml", &build("spring-ai-pinecone-store-spring-boot-starter")), ("src/A.java", class)],
        "src/A.java:5 call vector_store pinecone unknown certain
         src/A.java:6 call vector_store pinecone unknown certain",
    );
    check_files(&[("pom.xml", &build("spring-ai-pgvector-store-spring-boot-starter")), ("src/A.java", class)], "");
}

#[test]
fn pictures_in_the_name_of_a_project_are_not_what_is_asked() {
    check(
        "src/imagetogpt/controllers/Bot.java",
        "class Bot {\n  @Value(\"${openai.url}\") private String url;\n  R f(Q q) {\n    body.put(\"model\", q.getModel());\n    \
         body.put(\"messages\", all(q.getPrompt()));\n    return http.exchange(url, HttpMethod.POST, new HttpEntity<>(body), R.class);\n  }\n}\n",
        "6 http chat openai unknown likely",
    );
}

#[test]
fn the_body_of_a_block_and_a_name_in_a_text_of_json_say_the_model() {
    check(
        "A.kt",
        "class A {\n  private val MODEL = \"gpt-4o-mini\"\n  suspend fun f(): R {\n    return client.post(\"https://api.openai.com/v1/chat/completions\") \
         {\n      header(\"a\", key)\n      setBody(Ask(model = MODEL, messages = listOf()))\n    }.body()\n  }\n  fun g(): R {\n    val json = \
         \"\"\"{\"model\": \"$MODEL\", \"messages\": []}\"\"\"\n    val request = \
         Request.Builder().url(\"https://api.openai.com/v1/chat/completions\").post(json.toRequestBody()).build()\n    return \
         client.newCall(request).execute()\n  }\n}\n",
        "4 http chat openai gpt-4o-mini certain
         12 http chat openai gpt-4o-mini certain",
    );
}
