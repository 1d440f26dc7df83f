//! Where a request is sent, and what only looks as if it was sent there: functions of the file itself, tests, errors that are read.

use super::{check, check_files};

#[test]
fn a_request_that_is_made_first_is_sent_below() {
    check(
        "a.go",
        "package a\n\nfunc (c *Client) f() {\n\treq, err := http.NewRequestWithContext(ctx, \"POST\", \
         \"https://api.voyageai.com/v1/rerank\", body)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\n\treq.Header.Set(\"a\", \"b\")\n\tresp, err := \
         c.httpClient.Do(req)\n}\n\nfunc g() {\n\treq, _ := http.NewRequest(\"GET\", \"https://api.openai.com/v1/models\", nil)\n\treturn \
         send(req)\n}\n",
        "10 http rerank voyage unknown certain
         14 http models openai unknown certain",
    );
}

#[test]
fn a_function_of_the_same_file_of_rust_is_a_site_inside_alone() {
    check(
        "src/openai.rs",
        "impl Api {\n    fn ask(&self) -> Result<Answer> {\n        let body = json!({ \"model\": m, \"messages\": all });\n        \
         self.send_request(&body)\n    }\n    fn again(&self) -> Result<Answer> {\n        self.send_request(&Request { model: m, messages: all })\n    }\n    \
         fn send_request(&self, body: &Value) -> Result<Answer> {\n        \
         self.http.post(\"https://api.openai.com/v1/chat/completions\").json(body).send()\n    }\n}\n",
        "10 http chat openai unknown certain",
    );
}

#[test]
fn a_module_of_the_file_is_no_library_of_its_name() {
    check_files(
        &[
            ("Cargo.toml", "[dependencies]\nreqwest = \"0.12\"\n"),
            (
                "src/main.rs",
                "mod openai;\nuse openai::Client;\nasync fn main() {\n    let client = Client::new(key);\n    client.chat(x).await;\n}\n",
            ),
            (
                "src/openai.rs",
                "pub struct Client { key: String }\nimpl Client {\n    pub fn new(key: String) -> Self { Self { key } }\n}\n",
            ),
        ],
        "",
    );
}

#[test]
fn a_member_of_a_type_of_the_repository_is_no_client() {
    check_files(
        &[
            ("src/bot.rs", "use crate::chat::ChatService;\npub struct Data { pub chat: ChatService }\n"),
            (
                "src/chat.rs",
                "use async_openai::Client;\npub struct ChatService { client: Client<C> }\nimpl ChatService {\n    async fn create(&self) {\n        \
                 self.client.chat().create(r).await\n    }\n}\n",
            ),
            ("src/ask.rs", "async fn ask(ctx: Context<'_>) {\n    ctx.data().chat.create(&id, &prompt).await?;\n}\n"),
        ],
        "src/chat.rs:5 call chat openai unknown certain",
    );
}

#[test]
fn what_a_test_of_dotnet_says_is_compared() {
    let text = "class A {\n  void F() {\n    new KeyValuePair<string, string>(\"OpenAi:Url\", \"https://api.openai.com/v1/images/generations\");\n  }\n}\n";
    check("ShopTests/AsksTests.cs", text, "3 http images openai unknown possible");
    check("Shop/Asks.cs", text, "3 http images openai unknown likely");
}

#[test]
fn an_address_on_ones_own_machine_is_not_that_of_another_branch() {
    check(
        "Asks.cs",
        "class Asks {\n  const string Remote = \"https://api.openai.com/v1/chat/completions\";\n  async Task F() {\n    if (isLocal) {\n      \
         var url = $\"{_own}/api/generate\";\n      await _http.PostAsync(url, content);\n    } else {\n      var url = Remote;\n      \
         await _http.PostAsync(url, content);\n    }\n  }\n}\n",
        "9 http chat openai unknown certain",
    );
}

#[test]
fn errors_that_are_read_are_no_request() {
    check(
        "A.java",
        "class A {\n  void f() throws Exception {\n    URL url = new URL(\"https://api.openai.com/v1/chat/completions\");\n    HttpURLConnection conn = \
         (HttpURLConnection) url.openConnection();\n    conn.getOutputStream().write(body);\n\n\n    BufferedReader bad = new BufferedReader(new \
         InputStreamReader(conn.getErrorStream()));\n\n\n    BufferedReader good = new BufferedReader(new InputStreamReader(conn.getInputStream()));\n  }\n}\n",
        "4 http chat openai unknown certain",
    );
}

#[test]
fn a_model_that_is_said_in_the_address_or_after_the_request_was_made_is_found() {
    check(
        "a.go",
        "package a\n\nfunc f() {\n\treq, err := http.NewRequest(\"POST\", \"https://api.openai.com/v1/chat/completions\", nil)\n\td := \
         Requester{Model: \"gpt-3.5-turbo\", Messages: all}\n\tmsg, err := json.Marshal(d)\n\treq.Body = reader(msg)\n\tresp, err := \
         http.DefaultClient.Do(req)\n}\n",
        "8 http chat openai gpt-3.5-turbo certain",
    );
    check(
        "Asks.cs",
        "class Asks {\n  async Task F() {\n    var url = \"https://generativelanguage.googleapis.com/v1beta/models/gemini-flash-latest:generateContent\";\n    \
         var request = new HttpRequestMessage(HttpMethod.Post, url);\n    var payload = new { contents = all, generationConfig = c };\n    \
         request.Content = new StringContent(JsonSerializer.Serialize(payload));\n    var response = await _http.SendAsync(request);\n  }\n}\n",
        "4 http chat google gemini-flash-latest certain",
    );
}

#[test]
fn an_address_that_a_function_of_go_returns_is_sent_to_elsewhere() {
    check(
        "openai.go",
        "package a\n\nfunc (c *C) f() {\n\treq, _ := http.NewRequest(\"POST\", address(c.base), body)\n\treturn c.http.Do(req)\n}\n\n\
         func address(base string) string {\n\tif strings.HasSuffix(base, \"/v1\") {\n\t\treturn base + \"/chat/completions\"\n\t}\n\t\
         return base + \"/v1/chat/completions\"\n}\n",
        "5 http chat openai-compatible unknown likely",
    );
}

#[test]
fn a_service_that_a_framework_makes_is_asked_in_files_that_name_no_library() {
    use crate::scan::{Linker, Wanted};
    let service = "package a;\nimport dev.langchain4j.service.spring.AiService;\n@AiService\npublic interface Assistant {\n  String chat(String m);\n}\n";
    let files = vec![("a/Assistant.java".to_owned(), crate::scan::read("a/Assistant.java", service, false))];
    let linker = Linker::new(&files);
    let wanted = Wanted::of((0..linker.len()).flat_map(|part| linker.shared(part)));
    assert!(wanted.is_some_and(|wanted| wanted.is_in("class Ask { Assistant assistant; }")));
}
