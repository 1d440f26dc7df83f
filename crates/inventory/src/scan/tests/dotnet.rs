//! What C# says elsewhere: namespaces of a project, base addresses that are set later, defaults of parameters.

use super::{check, check_files};

#[test]
fn namespaces_of_a_project_and_of_any_file_are_known_everywhere() {
    check_files(
        &[
            (
                "App.csproj",
                "<Project><ItemGroup>\n  <Using Include=\"Microsoft.Agents.AI\" />\n</ItemGroup></Project>\n",
            ),
            ("Program.cs", "global using OpenAI.Chat;\n"),
            (
                "Asks.cs",
                "class Asks(AIAgent agent) {\n  async Task F() {\n    var client = new ChatClient(\"gpt-4o\", k);\n    \
                 await client.CompleteChatAsync(m);\n    await agent.RunAsync(\"Hi\");\n  }\n}\n",
            ),
        ],
        "Asks.cs:3 client chat openai gpt-4o certain
         Asks.cs:4 call chat openai unknown certain
         Asks.cs:5 call chat unknown unknown certain",
    );
}

#[test]
fn a_base_address_that_is_set_later_is_the_address_of_the_call() {
    check_files(
        &[
            (
                "Settings.cs",
                "class Settings {\n  public string ChatUrl { get; set; }\n  Settings() {\n    ChatUrl = \"https://api.openai.com/v1/chat/completions\";\n  }\n}\n",
            ),
            (
                "Asks.cs",
                "class Asks {\n  private HttpClient _http;\n  void Start() {\n    _http.BaseAddress = new Uri(All.Tools.ChatUrl.TrimEnd('/'));\n  }\n  \
                 Task F() {\n    return _http.PostAsync(string.Empty, content);\n  }\n}\n",
            ),
        ],
        "Asks.cs:7 http chat openai unknown certain",
    );
    check(
        "Asks.cs",
        "class One {\n  One(HttpClient http) { http.BaseAddress = new Uri(\"https://api.anthropic.com/v1/\"); }\n  \
         object F() => new HttpRequestMessage(HttpMethod.Post, \"messages\");\n}\nclass Two {\n  \
         HttpClient _http = new HttpClient { BaseAddress = new Uri(\"https://api.groq.com/openai/v1/\") };\n  Task F() => _http.GetAsync(\"models\");\n}\n",
        "3 http chat anthropic unknown certain
         7 http models groq unknown certain",
    );
}

#[test]
fn chains_that_begin_with_an_address_and_defaults_of_parameters_are_addresses() {
    check(
        "Asks.cs",
        "class Asks {\n  const string Url = \"https://api.openai.com\";\n  async Task F(string path = \"chat/completions\") {\n    \
         await Url.AppendPathSegment(\"v1/embeddings\").WithHeader(\"a\", k).PostJsonAsync(body);\n    \
         await \"https://api.mistral.ai/v1/chat/completions\".PostJsonAsync(body);\n    \
         var request = new HttpRequestMessage(HttpMethod.Post, path);\n  }\n}\n",
        "4 http embeddings openai unknown certain
         5 http chat mistral unknown certain
         6 http chat openai-compatible unknown likely",
    );
}

#[test]
fn a_class_is_of_the_namespace_that_fewer_libraries_share() {
    check(
        "Program.cs",
        "using Azure.AI.OpenAI;\nusing OpenAI;\nvar client = new OpenAIClient(k);\n\
         builder.Services.AddChatClient(client.GetChatClient(model).AsIChatClient());\n",
        "3 client client openai unknown certain
         4 client chat openai unknown certain",
    );
}

#[test]
fn an_agent_that_is_made_at_a_service_is_a_call_and_one_of_a_model_by_its_name_an_adapter() {
    check(
        "Program.cs",
        "using Azure.AI.Agents.Persistent;\nusing Azure.AI.Projects;\nusing Microsoft.Agents.AI;\n\
         var agents = new PersistentAgentsClient(e, c);\nAIAgent kept = await agents.CreateAIAgentAsync(model: \"gpt-4o\");\n\
         AIAgent agent = project.AsAIAgent(model: \"gpt-4o\");\nAIProjectClient project = new(e, c);\n\
         AIAgent other = project.AsAIAgent(model: \"gpt-4.1\");\nawait other.RunAsync(\"Hi\");\n",
        "4 client client azure-ai unknown certain
         5 call assistants azure-ai gpt-4o certain
         6 adapter chat azure-ai gpt-4o certain
         7 client client azure-ai unknown certain
         8 adapter chat azure-ai gpt-4.1 certain
         9 call chat azure-ai unknown certain",
    );
}

#[test]
fn a_chain_that_is_given_a_model_asks_it() {
    check(
        "Program.cs",
        "using LangChain.Chains.LLM;\nusing Microsoft.Extensions.AI;\nusing OpenAI;\n\
         IChatClient llm = new OpenAIClient(k).GetChatClient(\"gpt-4o-mini\").AsIChatClient();\n\
         var chain = new LlmChain(new LlmChainInput(llm, prompt));\nvar said = await chain.RunAsync(\"socks\");\n",
        "4 client chat openai gpt-4o-mini certain
         6 call chat openai unknown certain",
    );
}

#[test]
fn a_program_in_one_file_says_its_packages_before_its_code() {
    check(
        "app.cs",
        "#!/usr/bin/env dotnet\n#:package OpenAI@2.9.0\n#:property Nullable=enable\n\n\u{feff}using OpenAI.Chat;\n\
         var client = new ChatClient(\"gpt-4o\", k);\nclient.CompleteChat(m);\n",
        "6 client chat openai gpt-4o certain
         7 call chat openai unknown certain",
    );
}

#[test]
fn a_variable_that_one_branch_gives_a_vendors_client_asks_the_vendor() {
    check(
        "Program.cs",
        "using Azure.AI.OpenAI;\nusing Microsoft.Extensions.AI;\nusing OllamaSharp;\nIChatClient client;\nif (isCloud)\n{\n    \
         client = new AzureOpenAIClient(e, c).GetChatClient(\"gpt-4o\").AsIChatClient();\n}\nelse\n{\n    \
         client = new OllamaApiClient(u, \"phi\");\n}\nawait client.GetResponseAsync(m);\n\
         var own = new OllamaApiClient(u, \"phi\");\nawait own.GetResponseAsync(m);\n",
        "7 client chat azure-openai gpt-4o certain
         13 call chat azure-openai unknown certain",
    );
}

#[test]
fn the_content_of_a_request_is_set_after_it_is_made() {
    check(
        "A.cs",
        "using System.Net.Http;\nclass A {\n    async Task F() {\n        var request = new HttpRequestMessage(HttpMethod.Post, \
         \"https://api.perplexity.ai/chat/completions\");\n        var body = new { model = \"sonar-pro\", messages = m };\n        \
         request.Content = new StringContent(JsonSerializer.Serialize(body));\n        await client.SendAsync(request);\n    }\n}\n",
        "7 http chat perplexity sonar-pro certain",
    );
}
