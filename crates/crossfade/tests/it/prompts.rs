//! `prompts`: files with versions in the store, and what targets make of them.

use scripted::{Script, Upstream, chat_completion};

use crate::parts::{CONFIG, House};

const SUPPORT: &str = "\
task: support-qa
variables:
  question: { type: string, delimited: true }
  product: { type: string, default: Crossfade }
messages:
  - { role: system, text: \"You answer questions about {{product}}.\" }
  - { role: user, text: \"{{question}}\" }
parameters: { temperature: 0 }
variants:
  open: { targets: [qwen], instruction: \"Answer in one sentence.\", parameters: { top_p: 0.9 } }
tests:
  - name: refund
    with: { question: How long does a refund take? }
    expect: [{ contains: \"30 days\" }, { max_length: 100 }]
  - name: facts
    with: { question: Give the facts. }
    expect: [{ json: true }]
";

/// A house with this prompt, whose target `qwen` is the server at this URL.
fn house(prompt: &str, url: &str) -> House {
    let server = format!("{{ dialect: openai, base_url: {url}/v1 }}");
    let config = CONFIG
        .lines()
        .map(|line| if line.starts_with("  new:") { format!("  new: {server}") } else { line.to_owned() });
    let house = House::new(&(config.collect::<Vec<_>>().join("\n") + "\n"));
    std::fs::create_dir(house.path().join("prompts")).unwrap();
    write(&house, prompt);
    house
}

fn write(house: &House, prompt: &str) {
    std::fs::write(house.path().join("prompts/support.yaml"), prompt).unwrap();
}

/// A server that answers by the last message, and with JSON alone only when it is told to.
fn upstream() -> Upstream {
    Upstream::with(|request| {
        let asked = request.text();
        let text = match asked.contains("refund take") {
            true => "It takes 30 days.",
            false if asked.contains("nothing else") => "{\"days\": 30}",
            false => "Sure: {\"days\": 30}",
        };
        Script::json(chat_completion(text))
    })
}

#[test]
fn versions_are_kept_compared_labelled_and_taken_back() {
    let house = house(SUPPORT, "http://127.0.0.1:1");
    let label =
        |reason: &str| house.run(&["prompts", "label", "support", "production", "--reason", reason, "--actor", "ana"]);
    label("first").exits(0);
    let first = house.run(&["prompts", "list", "--format", "json"]).exits(0).json()[0].clone();
    assert_eq!((&first["labels"]["production"], &first["variants"]), (&first["version"], &serde_json::json!(["open"])));
    // A comment makes no other version, a word does.
    write(&house, &format!("# reviewed\n{SUPPORT}"));
    assert_eq!(house.run(&["prompts", "list", "--format", "json"]).exits(0).json()[0]["version"], first["version"]);
    let second = SUPPORT.replace("You answer questions", "You answer hard questions");
    write(&house, &second);
    let diff = house.run(&["prompts", "diff", "support"]).exits(0).stdout;
    assert!(
        diff.contains("\n-  - { role: system, text: \"You answer questions")
            && diff.contains("\n+  - { role: system, text: \"You answer hard"),
        "{diff}"
    );
    label("second").exits(0);
    let third = SUPPORT.replace("You answer questions", "You answer easy questions");
    write(&house, &third);
    let back = house.run(&["prompts", "rollback", "support", "--reason", "it was worse"]).exits(0);
    assert!(back.stderr.contains("has version"), "{}", back.stderr);
    let file = || std::fs::read_to_string(house.path().join("prompts/support.yaml")).unwrap();
    assert_eq!(file(), SUPPORT);
    house.run(&["prompts", "rollback", "support", "--reason", "further"]).exits(2);
    // What stood in the file and had no label is kept as well.
    let kept = house.run(&["prompts", "list", "--format", "json"]).exits(0).json()[0]["versions"].clone();
    assert_eq!(kept, 3);
    let lost = house.run(&["prompts", "show", "support@none"]).exits(2);
    assert!(lost.stderr.contains("hint: kept: "), "{}", lost.stderr);
}

#[test]
fn a_version_that_the_config_cannot_be_bound_to_is_not_taken_back() {
    let unbound = SUPPORT.replace("{ targets: [qwen], ", "{ targets: [qwen], system: user, ");
    let house = house(&unbound, "http://127.0.0.1:1");
    let label = || house.run(&["prompts", "label", "support", "production"]).exits(0);
    label();
    write(&house, SUPPORT);
    label();
    let path = house.path().join("crossfade.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    let bound =
        config.replace("\ntargets:", "\nprompts:\n  short: { file: prompts/support.yaml, variant: open }\ntargets:");
    assert_ne!(bound, config);
    std::fs::write(&path, bound).unwrap();
    house.run(&["check"]).exits(0);
    let refused = house.run(&["prompts", "rollback", "support", "--reason", "it was worse"]).exits(2).stderr;
    for words in [
        "would not be valid with version",
        "`prompts.short`: its system message is put into the user's",
        "nothing is changed",
    ] {
        assert!(refused.contains(words), "{words} is not in\n{refused}");
    }
    assert_eq!(std::fs::read_to_string(house.path().join("prompts/support.yaml")).unwrap(), SUPPORT);
    house.run(&["check"]).exits(0);
    // Whatever else is wrong with the config, the binding is seen; and without it the version can be had.
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "colour: blue\n").unwrap();
    house.run(&["prompts", "rollback", "support", "--reason", "again"]).exits(2);
    std::fs::write(&path, config).unwrap();
    house.run(&["prompts", "rollback", "support", "--reason", "unbound"]).exits(0);
    assert_eq!(std::fs::read_to_string(house.path().join("prompts/support.yaml")).unwrap(), unbound);
}

#[test]
fn the_file_and_the_binding_of_the_docs_are_taken_together() {
    let page = include_str!("../../../../docs/reference/prompts.md");
    let snippets: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let house = house(snippets[0], "http://127.0.0.1:1");
    let providers = "listen: 127.0.0.1:0\nproviders:\n  gpu: { dialect: openai, base_url: http://127.0.0.1:1/v1 }\n";
    let routes = "routes:\n  chat: { target: qwen }\n";
    std::fs::write(house.path().join("crossfade.yaml"), format!("{providers}{}{routes}", snippets[1])).unwrap();
    house.run(&["check"]).exits(0);
    house.run(&["prompts", "show", "support", "--test", "refund", "--variant", "merged"]).exits(0);
    let listed = house.run(&["prompts", "list", "--format", "json"]).exits(0).json();
    assert_eq!(listed[0]["targets"], serde_json::json!(["qwen"]));
}

#[test]
fn a_name_that_is_not_declared_is_told_with_file_line_and_variable() {
    let house = house(
        &SUPPORT.replace("{{question}}", "{{qestion}}").replace("string, default", "integer, default"),
        "http://127.0.0.1:1",
    );
    let told = house.run(&["prompts", "list"]).exits(2).stderr;
    for words in [
        "support.yaml:7:26: `messages[1].text`: there is no variable `qestion`",
        "hint: did you mean `question`?",
        "support.yaml:4:38: `variables.product.default`: the variable `product` takes a whole number",
        "no message names the variable `question`",
    ] {
        assert!(told.contains(words), "{words} is not in\n{told}");
    }
    write(&house, &SUPPORT.replace("with: { question: Give the facts. }", "with: { qestion: 1 }"));
    let told = house.run(&["prompts", "list"]).exits(2).stderr;
    assert!(told.contains("`tests[1].with`: the variable `question` has no value"), "{told}");
    assert!(
        told.contains("`tests[1].with.qestion`: there is no variable `qestion`; did you mean `question`?"),
        "{told}"
    );
}

#[test]
fn golden_tests_are_asked_in_the_form_of_the_target_and_decide_the_exit_code() {
    let server = upstream();
    let house = house(SUPPORT, &server.url());
    let failed = house.run(&["prompts", "test", "--target", "qwen", "--format", "json"]).exits(3);
    let rows = failed.json();
    assert_eq!((&rows[0]["outcome"], &rows[1]["outcome"]), (&"passed".into(), &"failed".into()));
    assert_eq!(rows[1]["reasons"][0]["check"], "wrapped_json");
    let asked = server.requests();
    let asked: serde_json::Value = serde_json::from_slice(&asked[0].body).unwrap();
    assert_eq!((&asked["model"], &asked["top_p"], &asked["temperature"]), (&"qwen".into(), &0.9.into(), &0.into()));
    assert_eq!(asked["messages"][0]["content"], "You answer questions about Crossfade.\n\nAnswer in one sentence.");
    let xml = house.run(&["prompts", "test", "--target", "qwen", "--format", "junit"]).exits(3).stdout;
    assert!(xml.contains("<testsuite name=\"support on qwen\" tests=\"2\" failures=\"1\" errors=\"0\">"), "{xml}");
    write(&house, &SUPPORT.replace("Answer in one sentence.", "JSON and nothing else."));
    house.run(&["prompts", "test", "--target", "qwen"]).exits(0);
    house.run(&["check", "--format", "junit"]).exits(2);
    drop(server);
    // Nobody answers: that is no verdict about the prompt.
    house.run(&["prompts", "test", "--target", "qwen"]).exits(4);
}

#[test]
fn a_prompt_tried_on_a_candidate_is_sorted_and_what_helps_is_measured_and_not_applied() {
    let server = upstream();
    let house = house(SUPPORT, &server.url());
    let tried = house.run(&["prompts", "try", "qwen", "--propose", "--format", "json"]).exits(3).json();
    let found = &tried["prompts"][0];
    assert_eq!((&found["sorted"], &found["reasons"]["wrapped_json"]), (&"minor_adjustment".into(), &1.into()));
    let best = &found["proposals"][0];
    assert_eq!((&best["name"], &best["sorted"]), (&"stricter_format".into(), &"works".into()));
    assert_eq!((&best["mended"], &best["broken"]), (&1.into(), &0.into()));
    assert_eq!(std::fs::read_to_string(house.path().join("prompts/support.yaml")).unwrap(), SUPPORT);
    let page = house.run(&["prompts", "try", "qwen", "--propose"]).exits(3).stdout;
    assert!(page.contains("measured and not applied") && page.contains("stricter_format: {"), "{page}");
    // The unchanged form is asked, whatever the variant of the target says.
    let first: serde_json::Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(first["messages"][0]["content"], "You answer questions about Crossfade.");
}

#[test]
fn a_target_is_bound_to_a_variant_and_starts_afresh_when_the_prompt_changes() {
    let house = house(SUPPORT, "http://127.0.0.1:1");
    let config = std::fs::read_to_string(house.path().join("crossfade.yaml")).unwrap();
    let bound = config.replace("model: qwen }", "model: qwen, prompt_variant: open }")
        + "prompts:\n  open: { file: prompts/support.yaml, variant: open }\n";
    house.write(&bound);
    let fingerprint =
        || house.run(&["check", "--format", "json"]).exits(0).json()["targets"]["qwen"]["fingerprint"].clone();
    let before = fingerprint();
    assert_eq!(
        house.run(&["prompts", "list", "--format", "json"]).exits(0).json()[0]["targets"],
        serde_json::json!(["qwen"])
    );
    write(&house, &SUPPORT.replace("one sentence", "two sentences"));
    assert_ne!(fingerprint(), before);
    house.write(&bound.replace("variant: open }\n", "variant: opne }\n"));
    let told = house.run(&["check"]).exits(2).stderr;
    assert!(told.contains("there is no variant `opne`") && told.contains("it has open"), "{told}");
    house.write(&bound);
    write(&house, &SUPPORT.replace("about {{product}}.", "about {{product}}: {{question}}"));
    let told = house.run(&["check"]).exits(2).stderr;
    assert!(told.contains("the variable `question` has no value"), "{told}");
}
