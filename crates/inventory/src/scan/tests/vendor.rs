//! Whose service is called: a client with another's base address is the other's, and so is each call of it.

use super::check;

#[test]
fn a_call_has_the_vendor_of_its_client_in_python() {
    check(
        "a.py",
        "import os\nfrom openai import OpenAI\ngroq = OpenAI(base_url='https://api.groq.com/openai/v1')\n\
         own = OpenAI(base_url='http://localhost:8000/v1')\nsame = OpenAI(base_url=os.environ.get('OPENAI_BASE_URL'))\n\
         none = OpenAI(base_url=None)\nopen = OpenAI(base_url=os.environ['LLM_URL'])\n\
         groq.chat.completions.create(model='llama')\nown.chat.completions.create(model='llama')\n\
         same.chat.completions.create(model='gpt-4o')\nnone.chat.completions.create(model='gpt-4o')\n\
         open.chat.completions.create(model='m')\n",
        "3 client client groq unknown certain
         4 client client self-hosted unknown possible
         5 client client openai unknown certain
         6 client client openai unknown certain
         7 client client openai-compatible unknown likely
         8 call chat groq llama certain
         9 call chat self-hosted llama possible
         10 call chat openai gpt-4o certain
         11 call chat openai gpt-4o certain
         12 call chat openai-compatible m likely",
    );
}

#[test]
fn a_call_has_the_vendor_of_its_client_in_typescript() {
    check(
        "a.ts",
        "import OpenAI from 'openai'\nconst groq = new OpenAI({ apiKey, baseURL: 'https://api.groq.com/openai/v1' })\n\
         const custom = new OpenAI({ apiKey, baseURL: customModel.base_url })\n\
         await groq.chat.completions.create({ model: 'llama' })\nawait custom.chat.completions.create({ model: 'm' })\n\
         class A {\n  private client: OpenAI\n  constructor() {\n    \
         this.client = new OpenAI({ baseURL: 'https://openrouter.ai/api/v1' })\n  }\n  \
         go() {\n    return this.client.chat.completions.create({ model: 'x' })\n  }\n}\n",
        "2 client client groq unknown certain
         3 client client openai-compatible unknown likely
         4 call chat groq llama certain
         5 call chat openai-compatible m likely
         9 client client openrouter unknown certain
         12 call chat openrouter x certain",
    );
}

#[test]
fn what_a_builder_is_told_counts_for_what_it_builds() {
    check(
        "A.java",
        "import com.openai.client.OpenAIClient;\nimport com.openai.client.okhttp.OpenAIOkHttpClient;\nclass A {\n  void f() {\n    \
         OpenAIClient c = OpenAIOkHttpClient.builder().apiKey(k).baseUrl(\"https://api.groq.com/openai/v1\").build();\n    \
         c.chat().completions().create(params);\n  }\n}\n",
        "5 client client groq unknown certain
         6 call chat groq unknown certain",
    );
}

#[test]
fn azure_is_known_by_its_paths_and_its_version() {
    check(
        "a.ts",
        "import OpenAI from 'openai'\nlet ENDPOINT = \"\"\nlet DEPLOYMENT_ID = \"\"\nconst azure = new OpenAI({\n  apiKey: k,\n  \
         baseURL: `${ENDPOINT}/openai/deployments/${DEPLOYMENT_ID}`,\n  defaultQuery: { 'api-version': '2024-02-01' },\n})\n\
         const other = new OpenAI({ baseURL: base, defaultQuery: { 'api-version': v } })\n\
         await azure.chat.completions.create({ model: DEPLOYMENT_ID })\nawait other.chat.completions.create({ model: 'gpt-4o' })\n",
        "4 client client azure-openai unknown certain
         9 client client azure-openai unknown certain
         10 call chat azure-openai unknown certain
         11 call chat azure-openai gpt-4o certain",
    );
}

#[test]
fn a_client_in_a_file_for_a_server_of_ones_own_is_of_no_vendor() {
    let text = "from openai import OpenAI\nclient = OpenAI(base_url=config.base_url, api_key='none')\nclient.embeddings.create(input=t, model=m)\n";
    check(
        "lmstudio.py",
        text,
        "2 client client self-hosted unknown possible
         3 call embeddings self-hosted variable possible",
    );
}

#[test]
fn a_client_that_branches_make_is_chosen_at_run_time_and_one_that_is_made_anew_later_is_not() {
    let found = |text: &str| {
        let files = [("route.ts".to_owned(), crate::scan::read("route.ts", text, true))];
        let findings = crate::scan::link(&files, &crate::scan::Owners::default());
        let calls = findings.iter().filter(|found| found.kind == crate::scan::Kind::Call);
        calls.map(|call| format!("{} {} {}", call.line, call.vendor, call.among.join("+"))).collect::<Vec<_>>()
    };
    let azure = "new OpenAI({ baseURL: `${p.url}/openai/deployments/${p.id}` })";
    let head = "import OpenAI from 'openai'\nexport async function POST(p) {\n";
    let call = "  await openai.embeddings.create({ model: 'm', input: x })\n";
    assert_eq!(
        found(&format!(
            "{head}  let openai\n  if (p.azure) {{\n    openai = {azure}\n  }} else {{\n    openai = new OpenAI()\n  }}\n{call}}}\n"
        )),
        ["9 unknown azure-openai+openai"]
    );
    assert_eq!(
        found(&format!("{head}  const openai = p.azure ? {azure} : new OpenAI()\n{call}}}\n")),
        ["4 unknown azure-openai+openai"]
    );
    assert_eq!(
        found(&format!("{head}  let openai = {azure}\n{call}  openai = new OpenAI()\n{call}}}\n")),
        ["4 azure-openai ", "6 openai "]
    );
}

#[test]
fn a_list_of_models_that_is_streamed_asks_none_and_a_model_does() {
    check(
        "A.java",
        "import java.util.List;\nimport org.springframework.ai.chat.model.ChatModel;\nclass A {\n  \
         Object all(List<ChatModel> chatModels) {\n    return chatModels.stream().toList();\n  }\n  \
         Object one(ChatModel chatModel) {\n    return chatModel.stream(\"hi\");\n  }\n}\n",
        "8 call chat unknown unknown certain streaming",
    );
}

#[test]
fn a_function_of_the_programs_own_plugin_is_no_call_and_memory_that_is_searched_embeds() {
    let plugin =
        ("ChatPlugin.cs", "class ChatPlugin {\n  [KernelFunction]\n  public string Chat(string ask) => ask;\n}\n");
    let head = "using Microsoft.SemanticKernel;\nusing Microsoft.KernelMemory;\nclass C {\n  \
                const string Own = nameof(ChatPlugin);\n  async Task Go(Kernel kernel, IKernelMemory memory) {\n";
    let own = format!(
        "{head}    KernelFunction? f = kernel.Plugins.GetFunction(Own, \"Chat\");\n    await kernel.InvokeAsync(f!, args);\n    \
         await memory.SearchAsync(query);\n  }}\n}}\n"
    );
    super::check_files(&[plugin, ("C.cs", &own)], "C.cs:8 call embeddings unknown unknown certain");
    let others = format!(
        "{head}    KernelFunction? f = kernel.Plugins.GetFunction(\"Writer\", \"Summary\");\n    await kernel.InvokeAsync(f!, args);\n  }}\n}}\n"
    );
    super::check_files(&[plugin, ("C.cs", &others)], "C.cs:7 call chat unknown unknown certain");
}
