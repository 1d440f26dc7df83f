//! `inventory matrix`: a small tree of three languages, a live server that is probed, and what would take the vendor's place.

use std::path::Path;

use scripted::vendor::{MODEL, Quirk, vendor};
use serde_json::Value;

use crate::parts::{CONFIG, House};

/// A shop that chats in Python with a schema and tools, embeds and moderates in TypeScript, and has an assistant in Go.
fn tree(house: &House) -> String {
    let root = house.path().join("shop");
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "bot/ask.py",
        "from openai import OpenAI\nclient = OpenAI()\n\ndef ask(messages, tools, schema):\n    return client.chat.completions.create(\n        \
         model=\"gpt-4o\", messages=messages, tools=tools, response_format=schema, seed=7, n=2)\n",
    );
    write(
        "web/find.ts",
        "import OpenAI from 'openai';\nconst client = new OpenAI();\nexport const embed = (input: string) =>\n  client.embeddings.create({ model: \
         'text-embedding-3-small', input });\nexport const safe = (input: string) => client.moderations.create({ input });\n",
    );
    write("web/package.json", "{ \"dependencies\": { \"openai\": \"^4.20.1\" } }\n");
    write(
        "ops/main.go",
        "package main\n\nimport openai \"github.com/sashabaranov/go-openai\"\n\nfunc main() {\n\tclient := openai.NewClient(\"key\")\n\tclient.CreateAssistant(ctx, \
         openai.AssistantRequest{Model: \"gpt-4-turbo\"})\n}\n",
    );
    write("CODEOWNERS", "/bot/ @support\n");
    root.display().to_string()
}

/// A config with the server as a candidate's, and the report of a real probe of it.
fn probed(house: &House, quirks: &[Quirk]) -> scripted::Upstream {
    let server = vendor(quirks);
    house.write(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  openai: {{ dialect: openai, base_url: \"http://127.0.0.1:1/v1\" }}\n  gpu: {{ \
         dialect: openai, base_url: \"{}/v1\", class: self_hosted }}\ntargets:\n  gpt: {{ provider: openai, model: gpt-4o }}\n  own: {{ provider: gpu, model: \
         {MODEL} }}\nroutes:\n  gpt-4o: {{ target: gpt }}\n",
        server.url()
    ));
    house.run(&["conformance", "own", "--embedding-model", MODEL, "--budget", "150s", "-o", "probe.json"]).exits(0);
    server
}

fn row<'m>(matrix: &'m Value, need: &str) -> &'m Value {
    let rows = matrix["rows"].as_array().unwrap();
    rows.iter().find(|row| row["need"] == need).unwrap_or_else(|| panic!("no {need} in {matrix:#}"))
}

#[test]
fn every_capability_that_is_used_is_held_against_the_probe_of_the_candidate() {
    let house = House::new(CONFIG);
    let root = tree(&house);
    let _server = probed(&house, &[Quirk::JsonSchemaIgnored, Quirk::NIgnored]);
    let arguments = ["inventory", "matrix", &root, "--no-cache", "--conformance", "probe.json", "--format", "json"];
    let done = house.run(&arguments).exits(0);
    let matrix = done.json();
    let found: Vec<String> = matrix["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {} {}", row["need"], row["standing"], row["effort"], row["risk"]).replace('"', ""))
        .collect();
    assert_eq!(
        found,
        [
            "chat equivalent S low",
            "tools equivalent S low",
            "structured_output none S medium",
            "seed equivalent S low",
            "choices none S medium",
            "embeddings equivalent M medium",
            "moderation equivalent S low",
            "assistants equivalent S low",
        ],
        "{matrix:#}"
    );
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(house.path().join("probe.json")).unwrap()).unwrap();
    let proof = &row(&matrix, "structured_output")["cells"][0]["proofs"][0];
    assert_eq!(proof["capability"], "json_schema");
    let entries = report["report"]["evidence"].as_array().unwrap();
    for id in proof["evidence"].as_array().unwrap() {
        assert!(entries.iter().any(|entry| entry["id"] == *id), "{id} is an entry of the report");
    }
    assert_eq!(matrix["alternatives"].as_array().unwrap().len(), 1, "the vendor's own target is no alternative");
    let openai = &matrix["dependencies"][0];
    assert_eq!((openai["vendor"].as_str(), openai["sites"].as_u64()), (Some("openai"), Some(7)), "{openai:#}");
    assert_eq!([&openai["today"]["class"], &openai["after"]["class"], &openai["at_best"]["class"]], [1, 3, 5]);
    assert!(
        done.stderr.contains("8 capabilities of 1 vendor in use at 7 call sites. As replacements stand: 6 equivalent"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_gap_ends_with_3_where_it_is_asked_for_and_the_forms_follow_the_files_name() {
    let house = House::new(CONFIG);
    let root = tree(&house);
    let _server = probed(&house, &[Quirk::NoServices]);
    let base = ["inventory", "matrix", &root, "--no-cache", "--conformance", "probe.json"];
    let with = |more: &[&str]| house.run(&[&base, more].concat());
    let table = with(&["--fail-on", "none"]).exits(3).stdout;
    let told = table.lines().find(|line| line.starts_with("moderation ") && line.contains("none")).unwrap_or_default();
    assert!(told.contains("high") && table.contains("3 of 5") && table.contains("an open guard model"), "{table}");
    with(&["--fail-on", "degraded"]).exits(3);
    for (file, begins) in [
        ("m.html", "<!doctype html>"),
        ("m.md", "# Replacement matrix of shop"),
        ("m.csv", "capability,what,"),
        ("m.json", "{"),
    ] {
        with(&["-o", file]).exits(0);
        let text = std::fs::read_to_string(house.path().join(file)).unwrap();
        assert!(text.starts_with(begins), "{file}: {text}");
    }
    with(&["-o", "m.pdf"]).exits(2);
    assert!(with(&["--format", "html"]).exits(0).stdout.contains("Sovereignty today"));
    assert!(with(&["--as", "markdown"]).exits(0).stdout.contains("## Rules"));
}

#[test]
fn a_server_that_no_config_names_is_an_alternative_by_its_report_alone() {
    let house = House::new(CONFIG);
    let root = tree(&house);
    let server = vendor(&[]);
    std::fs::remove_file(house.path().join("crossfade.yaml")).unwrap();
    let url = format!("{}/v1", server.url());
    house.run(&["conformance", &url, "--budget", "150s", "-o", "probe.json"]).exits(0);
    let base = ["inventory", "matrix", &root, "--no-cache", "--conformance", "probe.json", "--format", "json"];
    let matrix = house.run(&base).exits(0).json();
    assert_eq!(row(&matrix, "tools")["standing"], "equivalent");
    assert!(matrix["dependencies"][0]["after"]["class"].is_null(), "nobody said whose machine it is");
    let matrix = house.run(&[&base[..], &["--class", "self_hosted"]].concat()).exits(0).json();
    assert_eq!(matrix["dependencies"][0]["after"]["class"], 4);
}

#[test]
fn without_a_config_kinds_of_servers_are_named_and_nothing_is_proved() {
    let house = House::new(CONFIG);
    let root = tree(&house);
    std::fs::remove_file(house.path().join("crossfade.yaml")).unwrap();
    let done = house.run(&["inventory", "matrix", &root, "--no-cache", "--format", "json"]).exits(0);
    let matrix = done.json();
    let standings: Vec<&Value> = matrix["rows"].as_array().unwrap().iter().map(|row| &row["standing"]).collect();
    assert!(!standings.is_empty() && standings.iter().all(|standing| *standing == "unproved"), "{standings:?}");
    assert_eq!(matrix["counts"]["unproved"].as_u64(), Some(standings.len() as u64));
    assert!(done.stderr.contains("kinds of servers, and nothing is proved"), "{}", done.stderr);
    let chat = &row(&matrix, "chat")["cells"][0];
    assert!(chat["expected"]["source"].as_str().unwrap().contains("https://"), "{chat:#}");
    house.run(&["inventory", "matrix", &root, "-c", "nowhere.yaml"]).exits(2);
}

#[test]
fn a_simulated_candidate_proves_nothing_and_what_cannot_be_read_is_said() {
    let house = House::new(CONFIG);
    let root = tree(&house);
    house.run(&["conformance", "qwen", "--budget", "150s", "-o", "probe.json"]).exits(0);
    let base = ["inventory", "matrix", &root, "--no-cache", "--format", "json"];
    let matrix = house.run(&[&base[..], &["--conformance", "probe.json"]].concat()).exits(0).json();
    let chat = &row(&matrix, "chat")["cells"][0];
    assert_eq!((&chat["alternative"], &chat["standing"]), (&"qwen".into(), &"unproved".into()));
    assert!(chat["how"].as_str().unwrap().contains("made up"), "{chat:#}");
    let done = house.run(&[&base[..], &["--conformance", "crossfade.yaml"]].concat()).exits(2);
    assert!(done.stderr.contains("crossfade.yaml: it is no JSON"), "{}", done.stderr);
    let done = house.run(&[&base[..], &["--target", "qwem"]].concat()).exits(2);
    assert!(done.stderr.contains("did you mean `qwen`?"), "{}", done.stderr);
}

#[test]
fn a_report_and_an_exit_plan_take_the_matrix_as_it_was_written() {
    let house = House::new(CONFIG);
    let root = tree(&house);
    let _server = probed(&house, &[Quirk::NoServices, Quirk::JsonSchemaIgnored]);
    let made = ["inventory", "matrix", &root, "--no-cache", "--conformance", "probe.json", "-o", "matrix.json"];
    house.run(&made).exits(0);
    let written: Value =
        serde_json::from_str(&std::fs::read_to_string(house.path().join("matrix.json")).unwrap()).unwrap();
    let n_rows = written["rows"].as_array().unwrap().len();
    let open = ["structured_output", "moderation", "assistants"];
    for need in open {
        assert_eq!(row(&written, need)["standing"], "none");
    }

    let report = ["report", "--workload", "gpt-4o", "--candidate", "own", "--matrix", "matrix.json"];
    let written_to = [&report[..], &["--output", "r", "--no-pdf"]].concat();
    house.run(&written_to).exits(4);
    let read = |path: &str| std::fs::read_to_string(house.path().join(path)).unwrap();
    for text in [read("r/report.md"), read("r/report.html")] {
        let all = format!(
            "Of {n_rows} capabilities that shop uses, {} hold at the candidate as measured.",
            n_rows - open.len()
        );
        assert!(text.contains(&all), "{all} not in\n{text}");
        for words in
            ["an open guard model", "1 place): none, effort L, risk high", "Dependence on openai: 1 of 5 today, 3 of 5"]
        {
            assert!(text.contains(words), "{words} not in\n{text}");
        }
    }
    house.run(&["report", "verify", "r"]).exits(0);

    let plan = ["exit", "plan", "gpt-4o", "--to", "own", "--matrix", "matrix.json"];
    let text = house.run(&plan).exits(4).stdout;
    for words in [written["headline"].as_str().unwrap(), "| Moderation | own | none |", "owned by @support"] {
        assert!(text.contains(words), "{words} not in\n{text}");
    }
    let facts = house.run(&[&plan[..], &["--format", "json"]].concat()).exits(4).json();
    let section =
        facts["sections"].as_array().unwrap().iter().find(|one| one["title"] == "What replaces what").unwrap();
    assert!(section["missing"].as_array().unwrap().is_empty(), "nothing is unproved: {section:#}");

    house.write_file("matrix.json", &serde_json::to_string(&written).unwrap().replace("matrix/1", "matrix/9"));
    let refused = house.run(&report).exits(2).stderr;
    assert!(refused.contains("crossfade-matrix/9"), "{refused}");
}
