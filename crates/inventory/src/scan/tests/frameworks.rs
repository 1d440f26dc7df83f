//! What frameworks make of models, and where names are kept on the way.

use super::{check, check_files};

#[test]
fn a_notebook_on_one_line_is_read() {
    check(
        "a.ipynb",
        "{\"cells\": [{\"cell_type\": \"code\", \"source\": \"from openai import OpenAI\\nc = OpenAI()\"},\n\
         {\"cell_type\": \"code\", \"source\": [\"%%time\\n\", \"c.chat.completions.create(model='gpt-4o')\"]}]}",
        "1 client client openai unknown certain
         2 call chat openai gpt-4o certain",
    );
}

#[test]
fn outputs_of_a_notebook_make_it_no_machine_s() {
    let text = format!(
        "{{\"cells\": [{{\"cell_type\": \"code\", \"outputs\": [\"{}\"], \"source\": [\n\"import openai\\n\",\n\
         \"openai.ChatCompletion.create(model='gpt-4')\"]}}]}}",
        "x".repeat(9000)
    );
    check("a.ipynb", &text, "3 call chat openai gpt-4 certain");
}

#[test]
fn what_a_session_keeps_is_found_again() {
    check(
        "a.py",
        "import chainlit as cl\nimport streamlit as st\nfrom langchain_openai import ChatOpenAI\ndef start():\n    chain = prompt | ChatOpenAI()\n    \
         cl.user_session.set('chain', chain)\n    st.session_state.talk = chain\n    st.session_state['other'] = chain\ndef on(m):\n    \
         runnable = cl.user_session.get('chain')\n    runnable.invoke(m)\n    st.session_state.talk.invoke(m)\n    \
         st.session_state.other.stream(m)\n    cl.user_session.get('name').invoke(m)\n",
        "5 client chat openai unknown certain
         11 call chat openai unknown certain
         12 call chat openai unknown certain
         13 call chat openai unknown certain streaming",
    );
}

#[test]
fn whatever_is_built_on_a_model_for_completions_asks_for_them() {
    check(
        "a.py",
        "from langchain.llms import OpenAI\nfrom langchain.chains import LLMChain\nllm = OpenAI()\nllm('x')\nLLMChain(llm=llm).run('x')\n",
        "3 client completions openai unknown certain
         4 call completions openai unknown certain
         5 call completions openai unknown certain",
    );
}

#[test]
fn a_graph_answers_where_a_model_is_made_beside_it() {
    let graph = "from langgraph.graph import StateGraph\nb = StateGraph(S)\ngraph = b.compile()\ngraph.invoke({})\n";
    check("a.py", graph, "");
    check_files(
        &[("app/graph.py", graph), ("app/model.py", "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI()\n")],
        "app/graph.py:4 call chat openai unknown likely
         app/model.py:2 client chat openai unknown certain",
    );
    let model = ("llm.py", "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI()\n");
    let notebook = format!("{{\"cells\": [{{\"cell_type\": \"code\", \"source\": {graph:?}}}]}}");
    check_files(&[("a.ipynb", &notebook), model], "llm.py:2 client chat openai unknown certain");
}

#[test]
fn a_model_by_its_name_alone_needs_one_that_is_made_beside_it() {
    let ask =
        "from langchain_core.messages import HumanMessage\ndef f(llm):\n    return llm.invoke([HumanMessage('x')])\n";
    check("a.py", ask, "");
    let made = "from langchain_openai import ChatOpenAI\nf(ChatOpenAI())\n";
    check(
        "a.py",
        &format!("{ask}{made}"),
        "3 call chat openai unknown likely
         5 client chat openai unknown certain",
    );
}

#[test]
fn an_index_asks_the_model_that_is_set_for_all() {
    let index = "index = VectorStoreIndex.from_documents(docs)\nindex.as_query_engine().query('x')\n";
    let import = "from llama_index.core import Settings, VectorStoreIndex\n";
    check("a.py", &format!("{import}{index}"), "3 call chat openai unknown certain");
    let anthropic = "from llama_index.llms.anthropic import Anthropic\nSettings.llm = Anthropic()\n";
    check(
        "a.py",
        &format!("{import}{anthropic}{index}"),
        "3 client chat anthropic unknown certain
         5 call chat anthropic unknown certain",
    );
    let local = "from llama_index.llms.ollama import Ollama\nSettings.llm = Ollama()\n";
    check("a.py", &format!("{import}{local}{index}"), "");
}

#[test]
fn agents_are_adapters_where_their_model_is_a_name() {
    check(
        "a.py",
        "from pydantic_ai import Agent\nfrom pydantic_ai.models.openai import OpenAIModel\na = Agent('openai:gpt-4o', system_prompt='Be: x')\n\
         b = Agent(OpenAIModel('gpt-4o'), system_prompt='Be: x')\na.run_sync('x')\nb.run_sync('x')\n",
        "3 adapter chat openai openai:gpt-4o certain
         4 client chat openai gpt-4o certain
         5 call chat openai unknown certain
         6 call chat openai unknown certain",
    );
    check(
        "a.py",
        "from autogen import AssistantAgent, UserProxyAgent\na = AssistantAgent('a', llm_config={'config_list': [{'model': 'gpt-4'}]})\n\
         u = UserProxyAgent('u', llm_config=False)\nu.initiate_chat(a, message='x')\n",
        "2 adapter chat unknown unknown certain
         4 call chat unknown unknown certain",
    );
}

#[test]
fn names_of_with_and_for_and_wrapped_methods_are_followed() {
    check(
        "a.py",
        "from functools import partial\nfrom openai import OpenAI\nfrom tools import wrap_openai\nwith OpenAI() as client:\n    \
         client.models.list()\nfor c in [client]:\n    c.files.list()\nask = partial(client.chat.completions.create, model='m')\n\
         ask(messages=[])\nw = wrap_openai(client)\nw.batches.list()\n",
        "4 client client openai unknown certain
         5 call models openai unknown certain
         7 call files openai unknown certain
         9 call chat openai unknown certain
         11 call batches openai unknown certain",
    );
}

#[test]
fn clients_in_an_object_are_found_by_their_key() {
    check(
        "a.ts",
        "import OpenAI from 'openai'\nimport Anthropic from '@anthropic-ai/sdk'\n\
         const clients = { first: new OpenAI(), second: new Anthropic() }\nclients.first.models.list()\n\
         clients.second.messages.create({ model: 'claude-3-haiku-20240307' })\n",
        "3 client client openai unknown certain
         4 call models openai unknown certain
         5 call chat anthropic claude-3-haiku-20240307 certain",
    );
}

#[test]
fn models_are_named_to_agents_and_registries() {
    check(
        "a.ts",
        "import { createAgent } from 'langchain'\nimport { createProviderRegistry, generateText } from 'ai'\n\
         const agent = createAgent({ model: 'openai:gpt-4o', tools })\nawait agent.invoke({ messages })\n\
         const registry = createProviderRegistry({ openai })\nconst model = registry.languageModel('openai:gpt-4o')\n\
         await generateText({ model })\n",
        "3 adapter chat openai openai:gpt-4o certain tools
         4 call chat openai unknown certain
         6 adapter chat openai openai:gpt-4o certain
         7 call chat openai openai:gpt-4o certain",
    );
}

#[test]
fn a_model_by_the_api_of_responses_is_asked_for_responses() {
    check(
        "a.ts",
        "import { generateText } from 'ai'\nimport { createOpenAI } from '@ai-sdk/openai'\nconst openai = createOpenAI({ apiKey })\n\
         const answer = await generateText({\n  model: openai.responses('gpt-5'),\n  prompt,\n})\nawait generateText({ model: openai('gpt-4o'), prompt })\n",
        "3 client client openai unknown certain
         4 call responses openai gpt-5 certain
         5 client responses openai gpt-5 certain
         8 call chat openai gpt-4o certain",
    );
    check(
        "a.ts",
        "import { openai, streamText, embed } from 'modelfusion'\nconst model = openai.ChatTextGenerator({ model: 'gpt-4' })\n\
         await streamText({ model, prompt })\nawait embed({ model: openai.TextEmbedder({ model: 'text-embedding-ada-002' }), value })\n",
        "2 client chat openai gpt-4 certain
         3 call chat openai gpt-4 certain streaming
         4 call embeddings openai text-embedding-ada-002 certain",
    );
}
