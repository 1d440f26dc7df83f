use super::*;

/// What is found, as text: each prompt with its messages, what is filled in between angle brackets, and what was not read.
fn found(files: &[(&str, &str)]) -> String {
    let read: Vec<Read> = files.iter().map(|(path, text)| read(path, text)).collect();
    let found = link(&read);
    let mut shown = String::new();
    for prompt in &found.prompts {
        shown += &format!("{} {}:{}\n", prompt.name, prompt.path, prompt.line);
        for message in &prompt.messages {
            let piece = |piece: &Piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Hole(source) => format!("<{source}>"),
            };
            let text: String = message.pieces.iter().map(piece).collect();
            shown += &format!("  {} {}: {}\n", message.role.as_str(), message.line, text.replace('\n', "|"));
        }
        for note in &prompt.notes {
            shown += &format!("  ! {note}\n");
        }
    }
    for unread in &found.unread {
        shown += &format!("? {}:{} {}\n", unread.path, unread.line, unread.why);
    }
    shown
}

#[track_caller]
fn check(path: &str, text: &str, expected: &str) {
    assert_eq!(found(&[(path, text)]), expected);
}

#[test]
fn messages_of_python_are_read_with_constants_and_fills() {
    check(
        "app/support.py",
        r#"from openai import OpenAI
SYSTEM_PROMPT = """You answer for {company}.
Be brief."""
def ask(question, docs):
    prompt = f"Context:\n{docs.text()}\n" + "Question: {}".format(question)
    return OpenAI().chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "system", "content": SYSTEM_PROMPT.format(company=NAME)},
            {"role": "user", "content": prompt},
        ],
    )
"#,
        "ask app/support.py:6\n  system 9: You answer for <NAME>.|Be brief.\n  user 5: Context:|<docs.text()>|Question: <question>\n",
    );
}

#[test]
fn few_shots_that_stand_in_another_list_are_taken_in() {
    check(
        "a.py",
        r#"import openai
EXAMPLES = [
    {"role": "user", "content": "2+2"},
    {"role": "assistant", "content": "4"},
]
messages = [{"role": "system", "content": "You are a calculator."}, *EXAMPLES]
messages.append({"role": "user", "content": f"{x}"})
messages.append(history)
"#,
        "a a.py:6\n  system 6: You are a calculator.\n  user 3: 2+2\n  assistant 4: 4\n  user 7: <x>\n",
    );
}

#[test]
fn what_is_given_at_run_time_is_said_to_be_so() {
    check(
        "a.py",
        "import openai\nopenai.chat.completions.create(model='m', messages=[{'role': 'user', 'content': question}])\n\
         openai.chat.completions.create(model='m', messages=[{'role': 'system', 'content': 'You are kind.'}] + history)\n",
        "a a.py:3\n  system 3: You are kind.\n  ! line 3: messages of `history` stand here after 1, given at run time\n\
         ? a.py:2 what is said is given at run time: `question`\n",
    );
}

#[test]
fn templates_of_frameworks_are_read() {
    check(
        "chain.py",
        r#"from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
prompt = ChatPromptTemplate.from_messages([("system", "Translate to {language}."), ("human", "{text}")])
summary = PromptTemplate.from_template("Summarise:\n{docs}\nAs JSON like {{\"a\": 1}}")
chat = [SystemMessage(content="You are terse."), HumanMessage(content=q)]
"#,
        "chain chain.py:2\n  system 2: Translate to <language>.\n  user 2: <text>\nsummary chain.py:3\n  user 3: Summarise:|<docs>|As JSON like {\"a\": 1}\n\
         chain-2 chain.py:4\n  system 4: You are terse.\n  user 4: <q>\n",
    );
}

#[test]
fn messages_of_typescript_are_read() {
    check(
        "web/chat.ts",
        "import OpenAI from 'openai';\nimport { generateText } from 'ai';\nconst systemPrompt = `You help ${user.name}.\\nUse \\`code\\`.`;\n\
         await client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'system', content: systemPrompt }, ...history, { role: 'user', content: [{ type: 'text', text: `Q: ${q}` }] }] });\n\
         await generateText({ model: openai('gpt-4o'), system: 'You are a poet.', prompt: `Write about ${topic}` });\n",
        "chat web/chat.ts:4\n  system 3: You help <user.name>.|Use `code`.\n  user 4: Q: <q>\n  ! line 4: messages of `history` stand here after 1, given at run time\n\
         chat-2 web/chat.ts:5\n  system 5: You are a poet.\n  user 5: Write about <topic>\n",
    );
}

#[test]
fn messages_of_go_are_read() {
    check(
        "main.go",
        "package main\nimport openai \"github.com/sashabaranov/go-openai\"\nconst systemPrompt = `You review Go code.\nOnly bugs.`\nfunc f(diff string) {\n\tprompt := fmt.Sprintf(\"Diff of %s:\\n%s\", name, diff)\n\
         \tc.CreateChatCompletion(ctx, openai.ChatCompletionRequest{Model: openai.GPT4o, Messages: []openai.ChatCompletionMessage{\n\
         \t\t{Role: openai.ChatMessageRoleSystem, Content: systemPrompt},\n\t\t{Role: openai.ChatMessageRoleUser, Content: prompt},\n\t}})\n\
         \tp := openai.UserMessage(\"Say \" + word)\n}\n",
        "main main.go:7\n  system 3: You review Go code.|Only bugs.\n  user 6: Diff of <name>:|<diff>\np main.go:11\n  user 11: Say <word>\n",
    );
}

#[test]
fn messages_of_java_and_kotlin_are_read() {
    check(
        "Bot.java",
        "import dev.langchain4j.service.SystemMessage;\ninterface Bot {\n  @SystemMessage(\"You are polite.\")\n  @UserMessage(\"Greet {{name}}\")\n  String chat(String name);\n}\n\
         class A {\n  String f() {\n    var text = \"\"\"\n        Sum up:\n          %s\n        \"\"\".formatted(body);\n\
         return chatClient.prompt().system(\"You are terse.\").user(text).call().content();\n  }\n}\n",
        "bot Bot.java:3\n  system 3: You are polite.\n  user 4: Greet <name>\nf Bot.java:13\n  system 13: You are terse.\n  user 9: Sum up:|  <body>|\n",
    );
    check(
        "Bot.kt",
        "import com.aallam.openai.api.chat.*\nval messages = listOf(\n  ChatMessage(role = ChatRole.System, content = \"You help $who.\"),\n  ChatMessage(role = ChatRole.User, content = \"\"\"\n    Ask ${a.b}\n  \"\"\".trimIndent()),\n)\n",
        "bot Bot.kt:2\n  system 3: You help <who>.\n  user 4: Ask <a.b>\n",
    );
}

#[test]
fn messages_of_csharp_are_read() {
    check(
        "Chat.cs",
        "using OpenAI.Chat;\nclass A {\n  async Task F() {\n    var messages = new List<ChatMessage> { new SystemChatMessage(\"You are a \\\"bot\\\".\"), new UserChatMessage($\"Hi {name:D} {{x}}\") };\n\
         history.AddSystemMessage(@\"Say \"\"yes\"\"\");\n    history.AddUserMessage(question);\n  }\n}\n",
        "chat Chat.cs:4\n  system 4: You are a \"bot\".\n  user 4: Hi <name> {x}\nchat-2 Chat.cs:5\n  system 5: Say \"yes\"\n  user 6: <question>\n",
    );
}

#[test]
fn messages_of_rust_ruby_and_php_are_read() {
    check(
        "main.rs",
        "use async_openai::types::*;\nfn f() {\n    let prompt = format!(\"Fix {} in {lang}\", code.trim());\n    let m = [ChatCompletionRequestSystemMessageArgs::default().content(\"You fix code.\").build()?.into(), ChatCompletionRequestUserMessageArgs::default().content(prompt).build()?.into()];\n}\n",
        "m main.rs:4\n  system 4: You fix code.\n  user 3: Fix <code.trim()> in <lang>\n",
    );
    check(
        "a.rb",
        "require 'openai'\nSYSTEM = <<~TXT\n  You are #{name}.\n    Be kind.\nTXT\nclient.chat(parameters: { model: 'gpt-4o', messages: [{ role: 'system', content: SYSTEM }, { role: 'user', content: \"Q: #{q}\" }] })\n",
        "a a.rb:6\n  system 2: You are <name>.|  Be kind.|\n  user 6: Q: <q>\n",
    );
    check(
        "a.php",
        "<?php\nuse OpenAI;\n$client->chat()->create(['model' => 'gpt-4o', 'messages' => [['role' => 'system', 'content' => 'You don\\'t lie.'], ['role' => 'user', 'content' => \"Hi $name, {$user->city}\"]]]);\n",
        "a a.php:3\n  system 3: You don't lie.\n  user 3: Hi <name>, <user.city>\n",
    );
}

#[test]
fn names_are_followed_to_other_files_and_files_that_are_read() {
    assert_eq!(
        found(&[
            ("prompts/rules.md", "Answer in {{language}}.\n"),
            (
                "app/texts.py",
                "SYSTEM_PROMPT = 'You sort mail by subject.'\nUNUSED_PROMPT = 'You write long letters to people who never asked for one.'\n"
            ),
            (
                "app/use.py",
                "from openai import OpenAI\nfrom app.texts import SYSTEM_PROMPT\nrules = open('prompts/rules.md').read()\n\
                 OpenAI().responses.create(model='m', instructions=SYSTEM_PROMPT, input=rules)\n"
            ),
        ]),
        "unused-prompt app/texts.py:2\n  user 2: You write long letters to people who never asked for one.\n\
         use app/use.py:4\n  system 1: You sort mail by subject.\n  user 3: Answer in <language>.\nrules prompts/rules.md:1\n  user 1: Answer in <language>.\n"
    );
}

#[test]
fn prompt_files_are_read() {
    check(
        "prompts/sort.prompty",
        "---\nname: sort\n---\nsystem:\nYou sort mail.\n\nuser:\n{{mail}}\n",
        "sort prompts/sort.prompty:4\n  system 4: You sort mail.\n  user 7: <mail>\n",
    );
    check(
        "prompts/p.yaml",
        "messages:\n  - role: system\n    content: You are {{tone}}.\n  - role: user\n    content: |\n      Q: {{q}}\n",
        "p prompts/p.yaml:3\n  system 3: You are <tone>.\n  user 6: Q: <q>\n",
    );
    check(
        "prompts/l.j2",
        "Hello\n{% for d in docs %}{{ d }}{% endfor %}\n",
        "? prompts/l.j2:2 a template with logic of its own: what is said is decided at run time\n",
    );
    check("prompts/README.md", "About prompts.\n", "");
    check("deploy/values.yaml", "template: x\n", "");
}

#[test]
fn what_is_no_prompt_is_not_taken_for_one() {
    check(
        "a.py",
        "parser.add_argument('--prompt', help='the prompt')\nuser = {'role': 'admin', 'content': 'x'}\nprompt = input('Your name: ')\n",
        "",
    );
    check("b.ts", "const r = { role: 'assistant', content: 'Here you are, all of it is done.' };\n", "");
    check("c.py", "PROMPT = '> '\nname = 'system'\n", "");
}

#[test]
fn a_draft_is_a_prompt_of_the_registry() {
    let text = "import openai\nopenai.chat.completions.create(model='m', messages=[\n\
        {'role': 'system', 'content': f'Answer as JSON: {{{{\"a\": {{{value}}}}}}}\\nIn {lang}.'},\n\
        {'role': 'user', 'content': '1+1'}, {'role': 'assistant', 'content': '2'}, {'role': 'user', 'content': f'{user.name}: {q}'}])\n";
    let found = link(&[read("a.py", text)]);
    let drafted = draft::draft(&found.prompts[0]);
    assert_eq!(
        drafted.yaml,
        "# From a.py:2.\nvariables:\n  lang: { type: string }    # lang\n  open_brace: { type: string, default: \"{\" }\n  q: { type: string }    # q\n  \
         user_name: { type: string }    # user.name\n  value: { type: string }    # value\nmessages:\n  - role: system    # a.py:3\n    text: |-\n      \
         Answer as JSON: \\{{\"a\": {{open_brace}}{{value}}}}}\n      In {{lang}}.\n  - role: user    # a.py:4\n    text: \"{{user_name}}: {{q}}\"\n\
         few_shots:\n  # a.py:4\n  - user: \"1+1\"\n    assistant: \"2\"\n"
    );
    assert_eq!(drafted.few_shots, 1);
}
