//! Go: members of structs, packages of the repository, wrappers, options.

use super::{check, check_files};

#[test]
fn members_are_of_the_struct_that_the_receiver_has() {
    check(
        "a.go",
        "package a\n\nimport (\n\t\"google.golang.org/genai\"\n\t\"github.com/openai/openai-go\"\n)\n\ntype google struct {\n\tclient *genai.Client\n}\n\n\
         type open struct {\n\tclient *openai.Client\n\tchat openai.ChatService\n}\n\nfunc (g *google) f() {\n\tchat, _ := \
         g.client.Chats.Create(ctx, \"gemini-2.5-pro\", nil, nil)\n\tchat.SendMessage(ctx, part)\n}\n\nfunc (o *open) f() {\n\to.client.Models.List(ctx)\n\t\
         o.chat.Completions.New(ctx, params)\n}\n",
        "19 call chat google unknown certain
         23 call models openai unknown certain
         24 call chat openai unknown certain",
    );
}

#[test]
fn wrappers_of_the_repository_are_no_sites_where_they_are_called() {
    check_files(
        &[
            ("go.mod", "module example.com/app\n"),
            (
                "llm/llm.go",
                "package llm\n\nimport openai \"github.com/sashabaranov/go-openai\"\n\ntype Client struct {\n\tinner *openai.Client\n}\n\n\
                 func NewClient(key string) *Client {\n\treturn &Client{inner: openai.NewClient(key)}\n}\n\nfunc (c *Client) \
                 CreateChatCompletion(ctx context.Context, m string) (string, error) {\n\tr, err := c.inner.CreateChatCompletion(ctx, \
                 openai.ChatCompletionRequest{Model: openai.GPT4o})\n\treturn \"\", err\n}\n",
            ),
            (
                "cmd/main.go",
                "package main\n\nimport \"example.com/app/llm\"\n\nfunc main() {\n\tclient := llm.NewClient(\"k\")\n\tclient.CreateChatCompletion(ctx, \"x\")\n}\n",
            ),
        ],
        "llm/llm.go:10 client client openai unknown certain
         llm/llm.go:14 call chat openai gpt-4o certain",
    );
}

#[test]
fn what_another_library_declares_is_no_client_of_a_vendor() {
    check(
        "a.go",
        "package a\n\nimport (\n\t\"github.com/google/go-github/v61/github\"\n\topenai \"github.com/sashabaranov/go-openai\"\n\t\
         \"github.com/instructor-ai/instructor-go/pkg/instructor\"\n)\n\ntype tool struct {\n\tclient *github.Client\n}\n\nfunc (t *tool) f() {\n\t\
         t.client.Repositories.CreateFile(ctx, o, r, p, nil)\n\tclient := instructor.FromOpenAI(openai.NewClient(k))\n\t\
         client.CreateChatCompletion(ctx, openai.ChatCompletionRequest{Model: openai.GPT4o})\n}\n",
        "15 client client openai unknown certain
         16 call chat openai gpt-4o certain",
    );
}

#[test]
fn the_address_that_a_configuration_is_given_later_counts() {
    check(
        "a.go",
        "package a\n\nimport openai \"github.com/sashabaranov/go-openai\"\n\nfunc f() {\n\tconfig := openai.DefaultConfig(k)\n\tconfig.BaseURL = \
         \"https://api.groq.com/openai/v1\"\n\tclient := openai.NewClientWithConfig(config)\n\tclient.CreateChatCompletion(ctx, r)\n}\n",
        "8 client client groq unknown certain
         9 call chat groq unknown certain",
    );
}

#[test]
fn routes_of_a_server_send_nothing() {
    check("a.go", "package a\n\nfunc f() {\n\twebapp.Post(\"/v1/responses\", app.Responses(pool))\n}\n", "");
}

#[test]
fn members_of_what_is_embedded_are_members() {
    check(
        "a.go",
        "package a\n\nimport \"github.com/anthropics/anthropic-sdk-go\"\n\ntype Client struct {\n\t*anthropic.Client\n}\n\nfunc (s *Stream) Messages() []string { return nil }\n\nfunc (c *Client) \
         Request(ctx context.Context) {\n\ts := &Stream{\n\t\tstream: c.Messages.NewStreaming(ctx, body),\n\t}\n}\n",
        "13 call chat anthropic unknown certain streaming",
    );
}

#[test]
fn chinas_vendors_and_forks_have_tables() {
    check(
        "a.go",
        "package a\n\nimport (\n\t\"github.com/baidubce/bce-qianfan-sdk/go/qianfan\"\n\thunyuan \
         \"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/hunyuan/v20230901\"\n\tlkeap \
         \"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/lkeap/v20240522\"\n\t\"github.com/volcengine/volcengine-go-sdk/service/arkruntime\"\n\t\
         \"github.com/revrost/go-openrouter\"\n)\n\nfunc f() {\n\tchat := qianfan.NewChatCompletion(qianfan.WithModel(m))\n\tchat.Do(ctx, r)\n\t\
         h, _ := hunyuan.NewClient(c, region, p)\n\th.GetEmbedding(r)\n\tl, _ := lkeap.NewClient(c, region, p)\n\tl.RunRerankWithContext(ctx, r)\n\t\
         a := arkruntime.NewClientWithApiKey(k)\n\ta.CreateChatCompletion(ctx, r)\n\to := openrouter.NewClient(k)\n\to.CreateChatCompletion(ctx, r)\n}\n",
        "12 client chat baidu variable certain
         13 call chat baidu unknown certain
         14 client client tencent unknown certain
         15 call embeddings tencent unknown certain
         16 client client tencent unknown certain
         17 call rerank tencent unknown certain
         18 client client volcengine unknown certain
         19 call chat volcengine unknown certain
         20 client client openrouter unknown certain
         21 call chat openrouter unknown certain",
    );
}

#[test]
fn a_client_is_of_the_vendor_whose_package_makes_it() {
    check(
        "a.go",
        "package a\n\nimport (\n\t\"github.com/psanford/claude/bedrock\"\n\t\"github.com/psanford/claude/clientiface\"\n)\n\nfunc f() {\n\t\
         client := bedrock.NewClient(sdk)\n\tclient.Message(ctx, req)\n}\n\nfunc g(client clientiface.Client) {\n\tclient.Message(ctx, req)\n}\n",
        "9 client client aws-bedrock unknown certain
         10 call chat aws-bedrock unknown certain
         14 call chat anthropic unknown certain",
    );
}

#[test]
fn what_is_formatted_or_joined_behind_a_base_of_the_settings_is_a_path() {
    check(
        "jina.go",
        "package a\n\nconst path = \"/services/embeddings/multimodal\"\n\nfunc (r *R) f() {\n\treq, _ := http.NewRequestWithContext(ctx, \"POST\", \
         fmt.Sprintf(\"%s/rerank\", r.baseURL), body)\n\turl := r.baseURL + path\n\tother, _ := http.NewRequest(\"POST\", url, body)\n\t\
         log(buildRequestDebug(fmt.Sprintf(\"%s/rerank\", r.baseURL)))\n}\n",
        "6 http rerank jina unknown likely
         8 http embeddings jina unknown likely",
    );
}

#[test]
fn what_is_posted_to_an_address_of_the_settings_is_asked_of_whom_the_function_is_for() {
    check(
        "service.go",
        "package a\n\nfunc f(s Settings) {\n\tpayload := claudeRequest{Model: s.Model, Messages: all, MaxTokens: 9}\n\tdata, _ := json.Marshal(payload)\n\t\
         req, _ := http.NewRequestWithContext(ctx, \"POST\", s.Endpoint, bytes.NewReader(data))\n\treq.Header.Set(\"anthropic-version\", \"2023-06-01\")\n\t\
         client.Do(req)\n}\n\nfunc g(s Settings) {\n\treq, _ := http.NewRequestWithContext(ctx, \"POST\", s.Other, body)\n\tclient.Do(req)\n}\n",
        "8 http chat anthropic variable likely",
    );
    check_files(
        &[
            (
                "openai/main.go",
                "package openai\n\nfunc f() {\n\treq := client.R().SetBody(b)\n\treq.Post(speechPath)\n}\n",
            ),
            ("openai/paths.go", "package openai\n\nconst speechPath = \"/v1/audio/speech\"\n"),
        ],
        "openai/main.go:5 http audio openai unknown likely
         openai/paths.go:3 http audio openai-compatible unknown possible",
    );
}

#[test]
fn a_member_that_is_an_interface_is_what_is_put_into_it() {
    check(
        "a.go",
        "package a\n\nimport sdk \"github.com/cohere-ai/cohere-go/v2/client\"\n\ntype api interface {\n\tEmbed(r R) (E, error)\n}\n\ntype own struct {\n\t\
         sdkClient api\n}\n\nfunc make() *own {\n\tclient := sdk.NewClient(k)\n\treturn &own{sdkClient: client}\n}\n\n\
         func (o *own) f() {\n\to.sdkClient.Embed(r)\n}\n",
        "14 client client cohere unknown certain
         19 call embeddings cohere unknown certain",
    );
}

#[test]
fn a_library_that_nobody_lists_is_known_by_the_vendor_in_its_name_unless_it_is_the_repositorys_own() {
    let text = "package a\n\nimport kit \"example.org/someone/go-openai-kit\"\n\nfunc f() {\n\tclient := \
                kit.NewClient(key)\n\tclient.SendMessage(ctx, r)\n}\n";
    check(
        "a.go",
        text,
        "6 client client openai unknown likely
         7 call chat openai unknown likely",
    );
    super::check_files(&[("go.mod", "module example.org/someone/go-openai-kit\n"), ("b/a.go", text)], "");
}

#[test]
fn a_request_that_is_made_over_several_lines_is_where_it_is_sent() {
    check(
        "a.go",
        "package a\n\nfunc g() {\n\treq, _ := http.NewRequest(\n\t\thttp.MethodPost,\n\t\t\
         fmt.Sprintf(\"https://api.openai.com/v1/files/%s\", id),\n\t\tbody,\n\t)\n\tclient.Do(req)\n}\n",
        "9 http files openai unknown certain",
    );
}
