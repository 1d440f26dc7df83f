//! What only Rust has: macros, patterns, what holds a client, and addresses that are put together.

use super::{check, check_files};

#[test]
fn what_stands_in_macros_is_read() {
    check(
        "a.rs",
        "use async_openai::{Client, config::OpenAIConfig};\nlazy_static! {\n    static ref CLIENT: Client<OpenAIConfig> = \
         Client::new();\n}\nasync fn f() {\n    println!(\"{:?}\", CLIENT.chat().create(r).await?);\n    let all = \
         vec![CLIENT.models().list().await?];\n    let s = async_stream::stream! {\n        let x = \
         CLIENT.responses().create(r).await?;\n        yield x;\n    };\n}\n",
        "3 client client openai unknown certain
         6 call chat openai unknown certain
         7 call models openai unknown certain
         9 call responses openai unknown certain",
    );
}

#[test]
fn addresses_of_format_and_bodies_of_json() {
    check(
        "a.rs",
        "const BASE: &str = \"https://api.openai.com/v1\";\nstruct Api { http: reqwest::Client, base_url: String }\nimpl Api {\n    \
         fn new() -> Self { Self { http: c, base_url: \"https://api.openai.com/v1\".to_string() } }\n    async fn a(&self) {\n        \
         let body = json!({ \"model\": \"gpt-4o-mini\", \"messages\": [{ \"role\": \"user\" }], \"stream\": true });\n        \
         self.http\n            .post(format!(\"{}/chat/completions\", self.base_url.trim_end_matches('/')))\n            \
         .json(&body)\n            .send().await?;\n    }\n    fn b(&self) {\n        let url = format!(\"{BASE}/embeddings\");\n        \
         ureq::post(&url).send_json(json!({ \"model\": \"text-embedding-3-small\" }))?;\n        let u = \
         Url::parse(\"https://api.groq.com/openai/v1/\")?.join(\"chat/completions\")?;\n        self.http.post(u).send()?;\n    }\n}\n",
        "8 http chat openai gpt-4o-mini certain streaming
         14 http embeddings openai text-embedding-3-small certain
         16 http chat groq unknown certain",
    );
}

#[test]
fn clients_in_patterns_variants_and_what_holds_them() {
    check(
        "a.rs",
        "use async_openai::{Client, config::OpenAIConfig};\nuse std::sync::{Arc, LazyLock};\nstatic SHARED: \
         LazyLock<Client<OpenAIConfig>> = LazyLock::new(|| Client::with_config(c));\ntype Api = Client<OpenAIConfig>;\nenum Backend \
         { OpenAi(Arc<Client<OpenAIConfig>>), Other }\nfn g(b: &Backend, a: Api, o: Option<Api>) {\n    let held = \
         Arc::new(Client::new());\n    held.files().list().await;\n    match b {\n        Backend::OpenAi(inner) => \
         inner.chat().create(r).await,\n        Backend::Other => {}\n    }\n    a.moderations().create(r).await;\n    if let \
         Some(client) = o {\n        client.embeddings().create(r).await;\n    }\n    \
         SHARED.images().create(r).await.context(\"x\")?;\n}\n",
        "3 client client openai unknown certain
         7 client client openai unknown certain
         8 call files openai unknown certain
         10 call chat openai unknown certain
         13 call moderation openai unknown certain
         15 call embeddings openai unknown certain
         17 call images openai unknown certain",
    );
}

#[test]
fn a_library_is_named_in_full_without_being_imported() {
    super::check_files(
        &[
            ("Cargo.toml", "[dependencies]\naws-sdk-bedrockruntime = \"1\"\n"),
            (
                "src/a.rs",
                "async fn f() {\n    let client = aws_sdk_bedrockruntime::Client::new(&config);\n    \
                 client.converse().model_id(\"amazon.titan-text\").send().await?;\n}\n",
            ),
        ],
        "src/a.rs:2 client client aws-bedrock unknown certain
         src/a.rs:3 call chat aws-bedrock amazon.titan-text certain",
    );
}

#[test]
fn what_is_asked_says_whose_it_is_where_the_address_is_known_at_run_time() {
    let text = "async fn f(&self) {\n    self.http.post(&self.config.endpoint).header(\"anthropic-version\", \
                V).json(&x).send().await?;\n    let body = json!({ \"model\": self.model, \"messages\": m });\n    \
                self.http.post(&self.config.url).json(&body).send().await?;\n}\n";
    check(
        "src/backends/chatgpt.rs",
        text,
        "2 http chat anthropic unknown likely
         4 http chat openai variable likely",
    );
    check("src/backends/other.rs", text, "2 http chat anthropic unknown likely");
    check("src/backends/ollama.rs", text, "");
}

#[test]
fn chains_of_frameworks_answer_where_they_are_run() {
    check(
        "a.rs",
        "use langchain_rust::{chain::{Chain, LLMChainBuilder}, llm::openai::OpenAI, prompt_args, sequential_chain};\n\
         async fn f() {\n    let llm = OpenAI::default().with_model(\"gpt-4o\");\n    let chain = \
         LLMChainBuilder::new().prompt(p).llm(llm.clone()).output_key(\"x\").build().unwrap();\n    let all = \
         sequential_chain!(chain, chain);\n    all.execute(prompt_args! { \"a\" => 1 }).await;\n    match chain.invoke(i).await {\n        \
         Ok(x) => x,\n    }\n}\n",
        "3 client chat openai gpt-4o certain
         6 call chat openai unknown certain
         7 call chat openai unknown certain",
    );
}

#[test]
fn branches_of_select_items_of_loops_and_closures() {
    check(
        "a.rs",
        "use async_openai::Client;\nasync fn f(client: &Client<C>, clients: Vec<Client<C>>, one: Option<Client<C>>) {\n    \
         tokio::select! {\n        answer = client.chat().create(r) => { say(answer); }\n        _ = stop.cancelled() => return,\n        \
         Some(x) = rx.recv(), if open => client.models().list().await?,\n    }\n    for each in clients.iter() {\n        \
         each.moderations().create(r).await?;\n    }\n    one.map(|held| held.files().list(&q));\n}\n",
        "4 call chat openai unknown certain
         6 call models openai unknown certain
         9 call moderation openai unknown certain
         11 call files openai unknown certain",
    );
}

#[test]
fn a_macro_without_anything_makes_an_executor_that_is_given_to_a_step() {
    check(
        "a.rs",
        "use llm_chain::{executor, parameters, prompt, step::Step};\nasync fn f() {\n    let exec = executor!()?;\n    let all = \
         Step::for_prompt_template(prompt!(\"a\")).run(&parameters!(), &exec).await?;\n}\n",
        "3 client chat openai unknown certain
         4 call chat openai unknown certain",
    );
}

#[test]
fn a_base_is_the_one_of_the_type_that_has_it() {
    let provider = |config: &str, url: &str| {
        format!(
            "use super::types::{config};\npub struct Provider {{ config: {config}, http: Client }}\nimpl Provider {{\n    async fn \
             ask(&self) {{\n        let url = format!(\"{url}\", self.config.base_url);\n        \
             self.http.post(&url).json(&r).send().await?;\n    }}\n}}\n"
        )
    };
    let types = |config: &str, base: &str| {
        format!(
            "pub struct {config} {{ base_url: String }}\nimpl {config} {{\n    fn new() -> Self {{ Self {{ base_url: \
             \"{base}\".to_string() }} }}\n}}\n"
        )
    };
    check_files(
        &[
            ("a/provider.rs", &provider("AnthropicConfig", "{}messages")),
            ("a/types.rs", &types("AnthropicConfig", "https://api.anthropic.com/v1/")),
            ("g/provider.rs", &provider("GeminiConfig", "{}models/gemini-pro:generateContent")),
            ("g/types.rs", &types("GeminiConfig", "https://generativelanguage.googleapis.com/v1beta/")),
            // A member of another type, whatever it is called; openai is only spoken of.
            (
                "c/chat.rs",
                "struct Chat { base_url: String }\nimpl Chat { fn f(&self) { http.post(format!(\"{}/files\", self.base_url)); } }\n",
            ),
        ],
        "a/provider.rs:6 http chat anthropic unknown certain
         g/provider.rs:6 http chat google gemini-pro certain",
    );
}

#[test]
fn what_functions_of_traits_and_of_enumerations_return() {
    check(
        "a.rs",
        "trait Api {\n    fn base_url(&self) -> &str;\n    fn endpoint(&self) -> String { format!(\"{}/v1/messages\", self.base_url()) \
         }\n}\nimpl Api for Claude {\n    fn base_url(&self) -> &str { \"https://api.anthropic.com\" }\n}\nimpl Vendor {\n    fn \
         host(&self) -> &'static str { match self { Self::A => \"https://api.groq.com/openai/v1\", Self::B => \"https://api.x.ai/v1\" } \
         }\n}\nasync fn f() {\n    http.post(self.endpoint()).send().await?;\n    http.get(format!(\"{}/models\", \
         self.vendor.host())).send().await?;\n    claims.get(\"https://api.openai.com/auth\");\n}\n",
        "12 http chat anthropic unknown certain
         13 http models groq unknown certain",
    );
}

#[test]
fn models_of_requests_that_a_call_begins_and_traits_of_agents() {
    check(
        "a.rs",
        "use aws_sdk_bedrockruntime::Client;\nuse rig::completion::Prompt;\nasync fn f(client: &Client, agent: impl Prompt) {\n    \
         client.invoke_model().model_id(\"amazon.titan-embed-text-v2:0\").body(b).send().await?;\n    agent.prompt(\"x\").await?;\n}\n",
        "4 call embeddings aws-bedrock amazon.titan-embed-text-v2:0 certain
         5 call chat unknown unknown certain",
    );
}

#[test]
fn requests_to_bedrock_that_are_signed_by_hand() {
    check(
        "a.rs",
        "fn path(m: &str) -> String { format!(\"/model/{m}/converse\") }\nasync fn f() {\n    let host = \
         format!(\"bedrock-runtime.{region}.amazonaws.com\");\n    let uri = format!(\"/model/{}/converse-stream\", model.name());\n    let \
         one = aws_fetch(client, &credentials, AwsRequest { method: Method::POST, host, uri, body })?;\n    let path = \
         self.path(model);\n    let url = format!(\"https://{host}{path}\");\n    http.post(&url).headers(signed).send().await?;\n}\n",
        "5 http chat aws-bedrock unknown certain
         8 http chat aws-bedrock unknown certain",
    );
}

#[test]
fn bounds_of_generics_what_closures_are_given_and_paths_that_are() {
    check(
        "a.rs",
        "use genai::Client;\nuse rig::completion::Prompt;\nasync fn with<F>(f: F) {\n    let client = Client::default();\n    \
         f(client).await\n}\nasync fn go() {\n    with(|c| async move { c.embed(m, t, None).await }).await;\n}\nasync fn ask<P>(agent: &P) \
         where P: Prompt { agent.prompt(q).await?; }\nimpl Api {\n    fn url(&self, path: &str) -> String { format!(\"{}/{}\", BASE, path) \
         }\n    async fn f(&self) { self.http.post(self.url(\"embeddings\")).send().await?; }\n}\nconst BASE: &str = \
         \"https://api.openai.com/v1\";\n",
        "4 client client unknown unknown certain
         8 call embeddings unknown unknown certain
         10 call chat unknown unknown certain
         13 http embeddings openai unknown certain",
    );
}

#[test]
fn smaller_libraries_have_their_tables() {
    check(
        "a.rs",
        "use aionic::openai::{Files, Image, OpenAI};\nasync fn f() {\n    let mut files = OpenAI::<Files>::new();\n    \
         files.upload(p).await?;\n    OpenAI::<Image>::new().set_size(&s).create(prompt).await?;\n}\n",
        "3 client client openai unknown certain
         4 call files openai unknown certain
         5 call images openai unknown certain",
    );
    check(
        "b.rs",
        "use llm_api_rs::{core::ChatCompletionRequest, providers::gemini::Gemini, providers::ollama::Ollama, LlmProvider};\n\
         async fn f() {\n    let client = Gemini::new(key);\n    let request = ChatCompletionRequest { model: \
         \"gemini-2.0-flash\".to_string(), messages };\n    client.chat_completion(request).await;\n    \
         Ollama::new(d).chat_completion(request).await;\n}\n",
        "3 client client google unknown certain
         5 call chat google gemini-2.0-flash certain",
    );
    check(
        "c.rs",
        "use anylm::{Completions, Embeddings, prelude::*};\nasync fn f() {\n    Completions::anthropic(key, \
         \"claude-opus-4-6\").user_message(m).send().await?;\n    Embeddings::openai(key, \
         \"text-embedding-3-small\").input(t).send().await?;\n    Completions::lmstudio(\"\", \"m\").send().await?;\n}\n",
        "3 call chat anthropic claude-opus-4-6 certain
         4 call embeddings openai text-embedding-3-small certain",
    );
}

#[test]
fn a_library_that_nobody_lists_is_known_by_the_vendor_in_its_name_unless_it_is_the_repositorys_own() {
    let text = "use some_openai_api::Client;\nasync fn f() {\n    let client = Client::new(key);\n    \
                client.chat().create(&r).await?;\n    client.embeddings(&r).await?;\n    let chat = client.chat();\n}\n";
    let sites = "3 client client openai unknown likely
         4 call chat openai unknown likely
         5 call embeddings openai unknown likely";
    check("src/a.rs", text, sites);
    let own = ("Cargo.toml", "[package]\nname = \"some-openai-api\"\n");
    super::check_files(&[own, ("src/a.rs", text)], "");
    super::check_files(
        &[own, ("examples/a.rs", text)],
        "examples/a.rs:3 client client openai unknown likely
         examples/a.rs:4 call chat openai unknown likely
         examples/a.rs:5 call embeddings openai unknown likely",
    );
    check(
        "src/a.rs",
        "use claude_wrapper::Claude;\nfn f() {\n    Claude::new(k).send_message(m).await;\n}\n",
        "3 call chat anthropic unknown likely",
    );
    check("src/a.rs", "use mistralrs::Client;\nfn f() {\n    Client::new(k).chat(m).await;\n}\n", "");
}

#[test]
fn a_name_of_its_own_for_a_clients_type_is_followed_into_other_modules_of_the_crate() {
    super::check_files(
        &[
            (
                "src/ais/mod.rs",
                "use async_openai::{Client, config::OpenAIConfig};\npub type Api = Client<OpenAIConfig>;\n",
            ),
            (
                "src/ais/assistant.rs",
                "use crate::ais::Api;\npub async fn list(api: &Api) {\n    let assistants = api.assistants();\n    \
                 assistants.list(q).await?;\n    api.threads().runs(id).create(r).await?;\n}\n",
            ),
        ],
        "src/ais/assistant.rs:4 call assistants openai unknown certain
         src/ais/assistant.rs:5 call assistants openai unknown certain",
    );
}

#[test]
fn what_names_say_of_libraries_that_have_a_vendors_name() {
    check(
        "src/a.rs",
        "use super_gemini::{GeminiSession, ContentRequest};\nasync fn f() {\n    let client = super_gemini::GeminiApiClient::new(key);\n    \
         client.content_generate(&request).await?;\n    client.set_model(\"m\");\n    let request = ContentRequest::new(\"x\");\n    let item = super_gemini::types::ItemArgs::default().messages(m).build();\n    \
         super_gemini::embed_text(&key, t).await?;\n    super_gemini::chat(\"gemini-2.0-flash\").send_message(\"hi\").await?;\n}\n",
        "3 client client google unknown likely
         4 call chat google unknown likely
         8 call embeddings google unknown likely
         9 call chat google gemini-2.0-flash likely",
    );
}

#[test]
fn examples_of_a_crate_that_asks_a_vendor_are_its_users_and_its_own_source_is_none() {
    let own = ("Cargo.toml", "[package]\nname = \"fierce\"\n");
    let source = (
        "src/client.rs",
        "impl Client {\n    async fn f(&self) { self.http.post(\"https://api.openai.com/v1/chat/completions\").send().await; }\n}\n",
    );
    let used = "use fierce::{chat::chat, image::generate, model::retrieve, ChatBuilder, Client};\nasync fn f() {\n    let client = Client::new();\n    \
                let request = ChatBuilder::new(\"gpt-4\", m).build()?;\n    chat(&client, &request).await?;\n    generate(&client, &p).await?;\n    \
                retrieve(&client, \"davinci\").await?;\n}\n";
    super::check_files(
        &[own, source, ("examples/a.rs", used), ("src/main.rs", used)],
        "examples/a.rs:3 client client openai unknown likely
         examples/a.rs:5 call chat openai gpt-4 likely
         examples/a.rs:6 call images openai unknown likely
         examples/a.rs:7 call models openai davinci likely
         src/client.rs:2 http chat openai unknown certain",
    );
    let listed = "use openai_rust::Client;\nfn f() {\n    let client = Client::new(config);\n}\n";
    let manifest = ("Cargo.toml", "[package]\nname = \"openai-rust\"\n");
    super::check_files(&[manifest, ("src/lib.rs", "pub mod openai;\n"), ("src/main.rs", listed)], "");
    super::check_files(&[manifest, ("src/main.rs", listed)], "src/main.rs:3 client client openai unknown certain");
}

#[test]
fn agents_of_the_first_versions_of_rig() {
    check(
        "src/a.rs",
        "use rig::providers::openai;\nstruct App<M: CompletionModel> { rag_agent: rig::rag::RagAgent<M> }\nasync fn f() {\n    let client = \
         openai::Client::from_env();\n    let agent = client.context_rag_agent(\"gpt-4\").preamble(\"p\").build();\n    agent.chat(q, vec![]).await;\n}\n",
        "4 client client openai unknown certain
         5 client chat openai gpt-4 certain
         6 call chat openai unknown certain",
    );
}

#[test]
fn a_test_of_a_method_of_the_file_and_of_a_server_of_its_own_is_no_place() {
    check(
        "src/ai/openai.rs",
        "impl Handler {\n    async fn send_completion(&self, body: &Value) -> Result<Answer> {\n        \
         self.http.post(\"https://api.openai.com/v1/chat/completions\").json(body).send().await\n    }\n}\n#[cfg(test)]\nmod tests {\n    async fn fails() \
         {\n        let body = json!({ \"model\": \"test\", \"messages\": [] });\n        assert!(handler.send_completion(&body).await.is_err());\n    }\n    \
         async fn answers() {\n        let mut server = mockito::Server::new_async().await;\n        let llm = Llm::new(Config { base_url: \
         format!(\"{}/v1/chat/completions\", server.url()) });\n    }\n}\n",
        "3 http chat openai unknown certain",
    );
    check(
        "src/lm_studio.rs",
        "impl LmStudio {\n    async fn ask(&self) -> Answer {\n        self.http.post(format!(\"{}/v1/chat/completions\", \
         &self.base_url)).json(&request).send().await\n    }\n}\n",
        "",
    );
}

#[test]
fn what_builds_embeddings_of_documents_calls_the_model_that_it_is_given() {
    check(
        "src/main.rs",
        "use rig::embeddings::EmbeddingsBuilder;\nuse rig::providers::gemini;\nasync fn f() {\n    let client = gemini::Client::from_env();\n    let model = \
         client.embedding_model(\"gemini-embedding-001\");\n    let mut builder = EmbeddingsBuilder::new(model);\n    for text in texts {\n        builder = \
         builder.document(text).map_err(|e| other(e))?;\n    }\n    let all = builder\n        .build()\n        .await;\n}\n",
        "4 client client google unknown certain
         5 client embeddings google gemini-embedding-001 certain
         11 call embeddings google unknown certain",
    );
}

#[test]
fn a_client_that_is_made_with_a_model_is_for_chat() {
    check(
        "src/main.rs",
        "use gems::Client;\nfn f() {\n    let client = Client::new(&key, \"gemini-pro\");\n}\n",
        "3 client chat google gemini-pro certain",
    );
}
