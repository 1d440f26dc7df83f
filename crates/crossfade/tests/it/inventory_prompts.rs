//! `inventory prompts`: what is extracted of code is taken by the prompt registry, and says what the code said.

use std::path::Path;

use crate::parts::{CONFIG, House};

/// Code in several languages, a file of a prompt, and one place that cannot be read.
fn tree(house: &House) {
    for (path, text) in [
        (
            "app/support.py",
            "from openai import OpenAI\nSYSTEM_PROMPT = \"\"\"You answer politely for {{company}}.\nJSON: {{\"a\": 1}}\"\"\"\n\
             def ask(q, docs):\n    return OpenAI().chat.completions.create(model='gpt-4o', messages=[\n\
             \x20       {'role': 'system', 'content': 'You sort mail.\\n\\n  Be brief. '},\n        {'role': 'user', 'content': 'Hi'},\n\
             \x20       {'role': 'assistant', 'content': 'Hello.'},\n        {'role': 'user', 'content': f'{docs.text}\\n{{{q}}}'}])\n",
        ),
        (
            "web/a.ts",
            "import OpenAI from 'openai';\nconst r = await c.chat.completions.create({ model: 'm', messages: [{ role: 'system', content: `You are ${a.b}.` }, ...history] });\n",
        ),
        (
            "web/b.ts",
            "import OpenAI from 'openai';\nawait c.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: body }] });\n",
        ),
        ("prompts/sum.txt", "Sum up {{ text }}.\n"),
    ] {
        let path = house.path().join("shop").join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn the_registry_takes_what_was_extracted_and_fills_it_in_as_the_code_would() {
    let house = House::new(CONFIG);
    tree(&house);
    let done = house.run(&["inventory", "prompts", "shop", "--output", "prompts"]).exits(0);
    assert!(done.stdout.contains("app/support.py:5") && done.stdout.contains("web/b.ts:2"), "{}", done.stdout);
    assert!(done.stderr.contains("4 prompts, 1 place"), "{}", done.stderr);
    let list = house.run(&["prompts", "list", "--format", "json"]).exits(0).json();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ask", "r", "sum", "system-prompt"]);
    let shown =
        house.run(&["prompts", "show", "ask", "--with", "docs=D", "--with", "q=Q", "--format", "json"]).exits(0).json();
    let said: Vec<(&str, &str)> = shown["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["role"].as_str().unwrap(), message["content"].as_str().unwrap()))
        .collect();
    assert_eq!(
        said,
        [("system", "You sort mail.\n\n  Be brief. "), ("user", "Hi"), ("assistant", "Hello."), ("user", "D\n{Q}")]
    );
    let shown =
        house.run(&["prompts", "show", "system-prompt", "--with", "company=C", "--format", "json"]).exits(0).json();
    assert_eq!(shown["messages"][0]["content"], "You answer politely for C.\nJSON: {{\"a\": 1}}");
    let file = std::fs::read_to_string(house.path().join("prompts/r.yaml")).unwrap();
    assert!(
        file.contains("# From web/a.ts:2.") && file.contains("# Not read: line 2: messages of `history`"),
        "{file}"
    );
    house.run(&["prompts", "label", "ask", "production"]).exits(0);
}

#[test]
fn a_file_in_the_way_stops_all_and_force_writes_over_it() {
    let house = House::new(CONFIG);
    tree(&house);
    house.run(&["inventory", "prompts", "shop", "--output", "made"]).exits(0);
    let again = house.run(&["inventory", "prompts", "shop", "--output", "made"]).exits(2);
    assert!(again.stderr.contains("nothing is written") && again.stderr.contains("`--force`"), "{}", again.stderr);
    house.run(&["inventory", "prompts", "shop", "--output", "made", "--force"]).exits(0);
    let facts = house.run(&["inventory", "prompts", "shop", "--exclude", "web", "--format", "json"]).exits(0).json();
    assert_eq!((facts["prompts"].as_array().unwrap().len(), facts["not_read"].as_array().unwrap().len()), (3, 0));
    let ask = facts["prompts"].as_array().unwrap().iter().find(|prompt| prompt["name"] == "ask").unwrap();
    assert_eq!(ask["few_shots"], 1);
    house.run(&["inventory", "prompts"]).exits(2);
    house.run(&["inventory", "prompts", "nowhere"]).exits(2);
}
