//! Plain HTTP of Rust: where an address is put together, what it is sent through, and what is only written.

use super::{check, check_files};

#[test]
fn an_address_that_a_function_puts_together_is_asked_where_it_is_sent_to() {
    check(
        "src/codex_responses.rs",
        r#"fn resolve_url(base_url: &str) -> String {
    let normalized = base_url.trim_end_matches('/');
    if normalized.ends_with("/codex/responses") {
        normalized.to_string()
    } else {
        format!("{normalized}/codex/responses")
    }
}
async fn ask(client: &Client, backend: &Backend) {
    let url = resolve_url(&backend.base_url);
    client.post(url).json(&body).send().await?;
}
#[cfg(test)]
mod tests {
    #[test]
    fn resolves() {
        assert_eq!(resolve_url("https://chatgpt.com/backend-api/codex"), "https://chatgpt.com/backend-api/codex/responses");
    }
}
"#,
        "11 http responses openai unknown likely",
    );
    check(
        "src/llm/backend.rs",
        r#"impl Backend {
    fn build_url(&self) -> String {
        let base = self.config.base_url.as_deref().unwrap_or("https://api.openai.com");
        let normalized = base.trim_end_matches('/');
        if normalized.ends_with("/chat/completions") {
            return normalized.to_string();
        }
        format!("{}/v1/chat/completions", normalized)
    }
    async fn send(&self) {
        let url = self.build_url();
        self.client.post(&url).json(&body).send().await?;
    }
}
"#,
        "12 http chat openai unknown certain",
    );
}

#[test]
fn a_function_of_the_file_that_sends_what_it_is_given_is_the_place() {
    check(
        "src/app.rs",
        r#"const OPEN_ROUTER_URL: &str = "https://openrouter.ai/api/v1/chat/completions";
async fn run(config: &Config) {
    let api_url = config.api_url.clone().unwrap_or_else(|| OPEN_ROUTER_URL.to_string());
    let res = send_api_request(&api_key, &api_url, &body).await?;
}
pub async fn send_api_request(api_key: &str, api_url: &str, body: &str) -> Result<Value, String> {
    let client = reqwest::Client::new();
    client.post(api_url).body(body.to_string()).send().await
}
"#,
        "8 http chat openrouter unknown certain",
    );
    // Several operations: the callers are the places.
    check(
        "src/app.rs",
        r#"async fn run(&self) {
    send_request("https://api.openai.com/v1/chat/completions", &chat).await?;
    send_request("https://api.openai.com/v1/embeddings", &texts).await?;
}
async fn send_request(url: &str, body: &Value) -> Result<Value, String> {
    reqwest::Client::new().post(url).json(body).send().await
}
"#,
        "2 http chat openai unknown certain
         3 http embeddings openai unknown certain",
    );
}

#[test]
fn an_address_put_together_in_a_constructor_is_a_members() {
    check(
        "src/responses.rs",
        r#"pub const DEFAULT: &str = "https://api.openai.com/v1";
impl Provider {
    pub fn new(config: Config) -> Result<Self> {
        let endpoint = format!("{}/responses", config.base_url.trim_end_matches('/'));
        Ok(Self { config, endpoint })
    }
    async fn go(&self) {
        self.client.post(&self.endpoint).json(&payload).send().await?;
    }
}
"#,
        "8 http responses openai unknown certain",
    );
}

#[test]
fn an_address_that_is_only_written_is_no_place() {
    check(
        "src/config.rs",
        r#"impl Azure {
    fn new(api_base: &str, id: &str) -> Self {
        let base_url = format!("{}/openai/deployments/{}/chat/completions", api_base, id);
        Self { base_url }
    }
    fn cut(base: &str) -> &str {
        base.trim_end_matches("/audio/transcriptions")
    }
}
#[cfg(test)]
mod tests {
    fn completes() {
        assert_eq!(complete("https://api.deepseek.com/v1/chat/completions", "/x"), "y");
        Mock::given(path("/v1/messages")).respond_with(r);
    }
}
"#,
        "3 http chat azure-openai unknown possible
         13 http chat deepseek unknown possible
         14 http chat anthropic unknown possible",
    );
    // Handed to something else, it is sent to there.
    check(
        "src/config.rs",
        "use reqwest::Client;\nasync fn chat(&self) {\n    let url = format!(\"{}/chat/completions\", self.base_url);\n    let \
         response = self.authed(&url).json(&req).send().await;\n}\n",
        "3 http chat openai-compatible unknown likely",
    );
}

#[test]
fn headers_say_whose_the_address_of_the_settings_is() {
    check(
        "src/server.rs",
        "async fn f(state: &State) {\n    let r = state.client.post(&state.config.official_url).header(\"chatgpt-account-id\", \
         id).json(&b).send().await;\n    state.client.get(&usage).header(\"chatgpt-account-id\", id).send().await;\n    \
         http.post(&config.endpoint).header(\"HTTP-Referer\", me).json(&body).send().await;\n}\n",
        "2 http responses openai unknown likely
         4 http chat openrouter unknown likely",
    );
}

#[test]
fn a_file_called_like_a_vendor_posts_what_its_answers_say() {
    let text = "pub async fn send_to_gpt(body: String, url: String) -> Answer {\n    \
                reqwest::Client::new().post(url).body(body).send().await?\n}\nstruct Answer { choices: Vec<Choice> }\n";
    check("src/gpt.rs", text, "2 http chat openai unknown likely");
    check("src/other.rs", text, "");
    // A route of one's own server.
    check(
        "src/openai.rs",
        "fn app() {\n    Router::new().route(\"/v1/chat/completions\", post(chat_completions));\n}\nstruct Answer { choices: u8 }\n",
        "2 http chat openai-compatible unknown possible",
    );
}

#[test]
fn a_test_beside_the_source_that_calls_a_function_of_the_file_is_no_place() {
    check(
        "src/openai.rs",
        r#"fn chat_request_builder(client: &Client, url: String) -> RequestBuilder {
    client.get(url)
}
#[cfg(test)]
mod tests {
    #[test]
    fn has_headers() {
        chat_request_builder(&Client::new(), format!("{}/chat/completions", "https://api.openai.com/v1"), &json!({ "model": "m" }));
    }
}
"#,
        "8 http chat openai unknown possible",
    );
}

#[test]
fn a_function_called_like_a_librarys_method_is_the_repositorys() {
    check_files(
        &[
            ("Cargo.toml", "[dependencies]\nchatgpt_rs = \"1\"\n"),
            (
                "src/chat.rs",
                "use chatgpt::prelude::*;\nasync fn f(client: &ChatGPT) {\n    client.send_message(p).await?;\n}\n",
            ),
            (
                "src/main.rs",
                "use crate::wechat::send_message;\nasync fn main() {\n    send_message(&bot, text).await?;\n}\n",
            ),
        ],
        "src/chat.rs:3 call chat openai unknown certain",
    );
}

#[test]
fn paths_behind_branches_accounts_and_defaults_of_another_vendor() {
    check(
        "src/tools/xai.rs",
        r#"async fn draw(&self) {
    let endpoint = if is_edit { "images/edits" } else { "images/generations" };
    let url = format!("{}/{}", backend.base_url.trim_end_matches('/'), endpoint);
    self.http.post(url).json(&body).send().await?;
}
"#,
        "2 http images openai-compatible unknown possible
         4 http images xai unknown likely",
    );
    check(
        "src/openrouter.rs",
        "const BASE: &str = \"https://openrouter.ai/api/v1\";\nasync fn f() {\n    http.get(format!(\"{BASE}/auth/key\")).send().await;\n    \
         http.post(format!(\"{BASE}/images\")).json(&json!({ \"model\": \"bytedance-seed/seedream-4.5\" })).send().await;\n}\n",
        "4 http images openrouter bytedance-seed/seedream-4.5 certain",
    );
    check(
        "src/lib.rs",
        r#"fn default_base_url(kind: &Kind) -> &'static str {
    match kind { Kind::OpenAi => "https://api.openai.com", Kind::Anthropic => "https://api.anthropic.com" }
}
async fn ask(base_url: &str) -> Result<()> {
    http.post(format!("{}/v1/messages", base_url)).json(&r).send().await
}
async fn all(kind: Kind) {
    let base_url = default_base_url(&kind).to_string();
    ask(&base_url).await;
}
"#,
        "5 http chat anthropic unknown certain",
    );
}

#[test]
fn a_model_in_the_parts_of_a_form() {
    check(
        "src/stt.rs",
        "async fn f() {\n    let url = \"https://api.openai.com/v1/audio/transcriptions\";\n    let form = \
         Form::new().text(\"model\", \"whisper-1\").part(\"file\", p);\n    client.post(url).multipart(form).send().await;\n}\n",
        "4 http audio openai whisper-1 certain",
    );
}

#[test]
fn an_address_that_another_case_returns_is_no_place_beside_what_is_sent() {
    check(
        "src/provider.rs",
        r#"const ZHIPU: &str = "https://open.bigmodel.cn/api/paas/v4/chat/completions";
async fn ask_openai_compatible_api(http: &Client, endpoint: &str, model: &str) -> Result<Answer> {
    let body = ChatRequest { model: model.to_string(), messages: messages.to_vec() };
    http.post(endpoint).json(&body).send().await?
}
fn endpoint_of(provider: &Provider) -> Result<String> {
    match provider {
        Provider::OpenAi => Ok("https://api.openai.com/v1/chat/completions".to_string()),
        Provider::Zhipu => Ok(ZHIPU.to_string()),
    }
}
"#,
        "1 http chat zhipu unknown possible
         4 http chat openai variable likely
         8 http chat openai unknown possible",
    );
}

#[test]
fn a_request_that_is_handed_on_is_one_place() {
    check(
        "src/gemini_proxy.rs",
        r#"use reqwest::Client;
async fn forward(state: &State) {
    let url = format!("{}:streamGenerateContent", state.base);
    let request = state.http.post(&url).json(&body);
    let response = fetch_with_retry(request, &state.retry, &url).await;
}
"#,
        "4 http chat google unknown likely",
    );
    // What is sent by somebody else is a place where it is put together.
    check(
        "src/asks.rs",
        r#"use crate::transport;
impl OpenAi {
    fn build_request(&self) -> Result<(String, Headers, Vec<u8>), Error> {
        let url = format!("{}/chat/completions", self.base_url);
        Ok((url, headers, body))
    }
}
"#,
        "4 http chat openai-compatible unknown likely",
    );
}

#[test]
fn a_request_of_a_path_alone_is_for_the_applications_own_router() {
    check(
        "src/smoke.rs",
        r#"const BASE: &str = "https://dashscope.aliyuncs.com/compatible-mode/v1";
async fn answers(app: Router) {
    let request = Request::builder().method("POST").uri("/api/chat").body(body).unwrap();
    let response = app.oneshot(request).await.unwrap();
}
"#,
        "",
    );
}
