//! What only Rust has: macros, patterns, what holds a client, and addresses that are put together.

use super::check;

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
         src/a.rs:3 call chat aws-bedrock unknown certain",
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
