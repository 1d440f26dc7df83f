//! Methods, models and classes that Python hands on before they are called.

use super::{check, check_files};

#[test]
fn methods_are_called_under_another_name_and_by_what_runs_them() {
    check(
        "a.py",
        "import asyncio, functools\nfrom openai import OpenAI\nclient = OpenAI()\ncreate = client.chat.completions.create\n\
         create(model='gpt-4o')\nfn = getattr(client.embeddings, 'create')\nfn(model='text-embedding-3-small')\nasync def f(given):\n    \
         await asyncio.to_thread(given.chat.completions.create, model='gpt-4o')\n    \
         await loop.run_in_executor(None, functools.partial(client.images.generate, model='dall-e-3'))\n",
        "3 client client openai unknown certain
         5 call chat openai gpt-4o certain
         7 call embeddings openai text-embedding-3-small certain
         9 call chat openai gpt-4o likely
         10 call images openai dall-e-3 certain",
    );
}

#[test]
fn a_model_goes_through_a_function_of_the_file() {
    check(
        "a.py",
        "from langchain_openai import ChatOpenAI\ndef build(llm):\n    return prompt | llm | parser\n\
         chain = build(ChatOpenAI(model='gpt-4o'))\nchain.invoke({})\nrows = build(table)\nrows.invoke({})\n",
        "4 client chat openai gpt-4o certain
         5 call chat openai unknown certain",
    );
}

#[test]
fn a_class_is_chosen_a_module_is_missing_and_a_function_makes_clients_of_two_libraries() {
    check(
        "a.py",
        "from openai import OpenAI, AzureOpenAI\nfrom anthropic import Anthropic\nMade = OpenAI if plain else AzureOpenAI\nmade = Made()\n\
         made.embeddings.create(model='x')\ndef client(kind):\n    if kind == 'a':\n        return Anthropic()\n    return OpenAI()\n\
         client('a').messages.create(model='claude-3-5-haiku-latest')\ntry:\n    import openai\nexcept ImportError:\n    openai = None\n\
         openai.ChatCompletion.create(model='gpt-4')\n",
        "4 client client openai unknown certain
         5 call embeddings openai x certain
         8 client client anthropic unknown certain
         9 client client openai unknown certain
         10 call chat anthropic claude-3-5-haiku-latest likely
         15 call chat openai gpt-4 certain",
    );
    check(
        "b.py",
        "import requests\nBASE = 'https://api.openai.com/v1'\nrequests.post('%s/images/generations' % BASE, json={})\n\
         requests.post(f\"{BASE.rstrip('/')}/responses\", json={})\n",
        "3 http images openai unknown certain
         4 http responses openai unknown certain",
    );
}

#[test]
fn a_crew_of_another_file_is_known_by_its_class() {
    check_files(
        &[
            (
                "shop/crew.py",
                "from crewai import Agent, Crew\nclass ShopCrew:\n    @crew\n    def crew(self) -> Crew:\n        \
                 return Crew(agents=self.agents, tasks=self.tasks)\n",
            ),
            (
                "shop/main.py",
                "from shop.crew import ShopCrew\nfrom mail.post import Post\nShopCrew().crew().kickoff(inputs={})\nPost().crew().kickoff()\n",
            ),
        ],
        "shop/main.py:3 call chat openai unknown likely",
    );
}

#[test]
fn a_member_of_a_class_is_known_however_many_others_are_called_alike() {
    let own = "import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';\nclass A {\n  \
               protected client: BedrockRuntimeClient;\n  constructor() {\n    this.client = new BedrockRuntimeClient({ region });\n  }\n  \
               ask() {\n    return this.client.send(new ConverseCommand(input));\n  }\n}\n";
    let others: Vec<(String, &str)> = (0..70)
        .map(|nth| {
            (format!("other/b{nth}.ts"), "import OpenAI from 'openai';\nclass B {\n  client: Other = other();\n}\n")
        })
        .collect();
    let mut files = vec![("a.ts", own)];
    files.extend(others.iter().map(|(path, text)| (path.as_str(), *text)));
    check_files(
        &files,
        "a.ts:5 client client aws-bedrock unknown certain
         a.ts:8 call chat aws-bedrock unknown certain",
    );
}

#[test]
fn an_agent_is_made_of_a_model_by_its_name_and_of_an_object_elsewhere() {
    check_files(
        &[
            (
                "a.py",
                "from crewai import Agent, LLM\nfrom config import NAME\nMODEL = f'gemini/{NAME}'\na = Agent(role='x', llm=MODEL)\n\
                 b = Agent(role='y', llm='gpt-4o')\nllm = LLM(model='gpt-4o')\nc = Agent(role='z', llm=llm)\n",
            ),
            ("config.py", "NAME = 'gemini-2.5-flash'\n"),
        ],
        "a.py:4 adapter chat google gemini/gemini-2.5-flash certain
         a.py:5 adapter chat openai gpt-4o certain
         a.py:6 adapter chat openai gpt-4o certain",
    );
}

#[test]
fn parameters_that_are_spread_say_the_model() {
    check(
        "a.py",
        "from openai import OpenAI\nclient = OpenAI()\nparameters = {'model': 'gpt-4o-mini', 'messages': []}\n\
         client.chat.completions.create(**parameters)\n",
        "2 client client openai unknown certain
         4 call chat openai gpt-4o-mini certain",
    );
}

#[test]
fn a_method_of_the_class_itself_and_what_looks_into_a_store_are_no_places() {
    check(
        "a.py",
        "import google.generativeai as genai\nfrom langchain_openai import OpenAIEmbeddings\nclass Bot:\n    async def answer(self, message, text):\n        \
         await self.send_message(message, text)\n    async def send_message(self, message, text):\n        await message.reply(text)\n\
         def look(retriever, question):\n    return retriever.get_relevant_documents(question)\n",
        "",
    );
}

#[test]
fn a_provider_is_no_model_and_a_model_for_texts_completes_them() {
    check(
        "a.py",
        "from langchain.chat_models import init_chat_model\nfrom langchain_google_vertexai import VertexAI\n\
         model = init_chat_model('gpt-4o', model_provider='openai')\nllm = VertexAI(temperature=0)\nllm.invoke('x')\n",
        "3 adapter chat openai gpt-4o certain
         4 client completions google-vertex unknown certain
         5 call completions google-vertex unknown certain",
    );
}
