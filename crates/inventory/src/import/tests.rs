//! Every value of a config is accounted for, and no secret gets out.

mod random;

use std::path::{Path, PathBuf};

use expect_test::{ExpectFile, expect_file};
use saphyr_parser::{Event, Parser};

use super::rules::{Rule, Section, Verdict};
use super::tree::{Node, Place, Tree, Value};
use super::{Beside, Imported, Importing, Outcome, Source, import, litellm, portkey, tensorzero};

/// Every source, with tables and what a table's place looks like in a whole file.
const SOURCES: [(Source, &[Section]); 3] = [
    (Source::Litellm, litellm::tables::SECTIONS),
    (Source::Tensorzero, tensorzero::tables::SECTIONS),
    (Source::Portkey, portkey::tables::SECTIONS),
];

fn fixtures(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(directory);
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn beside(file: &str) -> Beside<'_> {
    Beside { file, read: &nothing, today: "2026-11-25", routes: &[] }
}

/// What was decided twice.
fn contested(source: Source, tree: &Tree) -> Vec<String> {
    let mut importing = Importing::new(tree, &beside("x"));
    importing.read(source, &beside("x"));
    importing.ledger.contested().to_vec()
}

/// Line and text of every value, by a second reading that knows nothing of the first: scalars that are no keys, and
/// containers with nothing in them.
fn values(text: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    // Of every open container: whether it is a map, and how many nodes it has so far.
    let mut open: Vec<(bool, usize, usize)> = Vec::new();
    let mut key_line = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.unwrap();
        let line = span.start.line();
        let is_key = open.last().is_some_and(|(is_map, n, _)| *is_map && n % 2 == 0);
        let in_map = open.last().is_some_and(|(is_map, ..)| *is_map);
        let at = if in_map { key_line } else { line };
        let is_node = matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..));
        if is_node && let Some((_, n, _)) = open.last_mut() {
            *n += 1;
        }
        match event {
            Event::Scalar(..) if is_key => key_line = line,
            Event::Scalar(..) => lines.push(at),
            Event::SequenceStart(..) => open.push((false, 0, at)),
            Event::MappingStart(..) => open.push((true, 0, at)),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((_, 0, at)) = open.pop() {
                    lines.push(at);
                }
            }
            Event::Alias(_) => panic!("an example with aliases needs another second reading"),
            _ => {}
        }
    }
    lines.sort_unstable();
    lines
}

#[track_caller]
fn check(source: Source, name: &str, text: &str) -> Imported {
    let tree = source.parse(text).unwrap();
    let contested = contested(source, &tree);
    assert!(contested.is_empty(), "{name}: decided twice: {contested:?}");
    let imported = import(source, text, &beside(name)).unwrap();
    assert_eq!(imported.keys.len(), tree.leaves.len(), "{name}");
    imported
}

#[test]
fn every_value_of_every_example_of_litellms_ends_exactly_once_and_none_is_unknown() {
    let files = fixtures("litellm");
    assert_eq!(files.len(), 24, "23 of the wheel and one of our own");
    for path in files {
        let (name, text) = (path.display().to_string(), read(&path));
        let imported = check(Source::Litellm, &name, &text);
        let lines: Vec<usize> = imported.keys.iter().map(|key| key.line).collect();
        assert_eq!(lines, values(&text), "{name}: a second reading finds other values");
        for key in &imported.keys {
            assert!(
                !key.outcome.words().contains("that the importer knows;") || key.key.ends_with(".model"),
                "{name}: {key:?}"
            );
        }
    }
}

fn check_whole(source: Source, name: &str, config: ExpectFile, keys: ExpectFile) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/tests");
    let text = read(&directory.join(name));
    check(source, name, &text);
    let read = |path: &str| std::fs::read_to_string(directory.join(path)).ok();
    let imported =
        import(source, &text, &Beside { file: name, read: &read, today: "2026-11-25", routes: &[] }).unwrap();
    config.assert_eq(&imported.config);
    let line =
        |key: &super::Key| format!("{} {}: {}: {}\n", key.line, key.key, key.outcome.as_str(), key.outcome.words());
    keys.assert_eq(&imported.keys.iter().map(line).collect::<String>());
}

#[test]
fn a_whole_config_of_litellms() {
    let config = expect_file!["tests/litellm.crossfade.yaml"];
    check_whole(Source::Litellm, "litellm.yaml", config, expect_file!["tests/litellm.keys.txt"]);
}

#[test]
fn a_whole_config_of_tensorzeros() {
    let config = expect_file!["tests/tensorzero.crossfade.yaml"];
    check_whole(Source::Tensorzero, "tensorzero.toml", config, expect_file!["tests/tensorzero.keys.txt"]);
}

#[test]
fn a_whole_config_of_portkeys() {
    let config = expect_file!["tests/portkey.crossfade.yaml"];
    check_whole(Source::Portkey, "portkey.json", config, expect_file!["tests/portkey.keys.txt"]);
}

/// A whole file with this value under this key at this place; `None` where the value has a table of its own.
fn example(source: Source, at: &str, key: &str, value: &str) -> Option<String> {
    const LITELLM: &str = "model_list: [{ model_name: x, litellm_params: { model: openai/x } }]";
    const TENSORZERO: &str = "[models.m]\nrouting = ['p']\n[models.m.providers.p]\ntype = 'openai'\nmodel_name = 'x'\n";
    let yaml = || format!("{key}: {value}");
    let plain = value.trim_matches(['[', ']', '{', '}', ' ']);
    let toml = || match value.chars().next() {
        Some('[') if value.contains('{') => format!("{key} = [{{ pointer = '/x', value = 1 }}]\n"),
        Some('[') => format!("{key} = ['a', 'b']\n"),
        Some('{') => {
            format!("{key} = {{ a = 'b', enabled = true, specific = 'x', non_streaming = {{ total_ms = 5 }} }}\n")
        }
        _ if plain.parse::<f64>().is_ok() || plain == "true" => format!("{key} = {plain}\n"),
        _ => format!("{key} = '{plain}'\n"),
    };
    let json = || match value.chars().next() {
        Some('[') => r#"["a"]"#.to_owned(),
        Some('{') => r#"{"a":"b","mode":"fallback","attempts":2}"#.to_owned(),
        _ if plain.parse::<f64>().is_ok() || plain == "true" => plain.to_owned(),
        _ => format!(r#""{plain}""#),
    };
    let is_map = value.contains('{');
    let text = match (source, at) {
        (_, "(top of the file)") if is_map => return None,
        (Source::Litellm, _) if is_map && key == "model_info" => return None,
        (Source::Litellm, "(top of the file)") => yaml(),
        (Source::Litellm, "model_list[]") => LITELLM.replace(" } }]", &format!(" }}, {} }}]", yaml())),
        (Source::Litellm, "model_list[].litellm_params") => {
            LITELLM.replace("openai/x", &format!("openai/x, {}", yaml()))
        }
        (Source::Litellm, "model_list[].model_info") => {
            LITELLM.replace("} }]", &format!("}}, model_info: {{ {} }} }}]", yaml()))
        }
        (Source::Litellm, section) => format!("{LITELLM}\n{section}: {{ {} }}\n", yaml()),
        (Source::Tensorzero, "(top of the file)") => toml(),
        (Source::Tensorzero, "gateway") => format!("{TENSORZERO}[gateway]\n{}", toml()),
        (Source::Tensorzero, "models.*, embedding_models.*") if key == "routing" || key == "providers" => return None,
        (Source::Tensorzero, "models.*, embedding_models.*") => {
            TENSORZERO.replace("routing", &format!("{}routing", toml()))
        }
        (Source::Tensorzero, "models.*.providers.*") if key == "type" || key == "model_name" => return None,
        (Source::Tensorzero, "models.*.providers.*") => format!("{TENSORZERO}{}", toml()),
        (Source::Tensorzero, "functions.*") if key == "variants" => return None,
        (Source::Tensorzero, "functions.*") => format!("{TENSORZERO}[functions.f]\n{}", toml()),
        (Source::Tensorzero, "functions.*.experimentation") => {
            format!(
                "{TENSORZERO}[functions.f.variants.a]\ntype = 'chat_completion'\nmodel = 'm'\n[functions.f.experimentation]\n{}",
                toml()
            )
        }
        (Source::Tensorzero, _) if key == "type" || key == "model" => return None,
        (Source::Tensorzero, _) => format!(
            "{TENSORZERO}[functions.f]\ntype = 'json'\n[functions.f.variants.a]\ntype = 'chat_completion'\nmodel = 'm'\n{}",
            toml()
        ),
        (Source::Portkey, _) if key == "strategy" || key == "targets" => {
            let json = if key == "targets" { r#"[{"provider":"openai"}]"#.to_owned() } else { json() };
            format!(r#"{{"targets":[{{"provider":"openai"}}],"{key}":{json}}}"#)
        }
        (Source::Portkey, _) => format!(r#"{{"provider":"openai","{key}":{}}}"#, json()),
    };
    let is_doubled = source == Source::Portkey && key == "provider";
    (!is_doubled).then_some(text)
}

/// Whatever a table promises to map, a reader takes care of, whatever stands there.
#[test]
fn a_key_that_a_table_calls_mapped_is_never_left_over() {
    let values =
        ["word", "5", "true", "[a, b]", "{ a: b }", "[{ a: [b] }]", "", "os.environ/X", "env::X", "http://gpu-1/v1"];
    for (source, Section { at, rules }) in
        SOURCES.iter().flat_map(|(source, sections)| sections.iter().map(|section| (*source, section)))
    {
        for Rule { key, .. } in rules.iter().filter(|rule| matches!(rule.verdict, Verdict::Mapped(_))) {
            let (mut n_read, mut n_tried) = (0, 0);
            for text in values.iter().filter_map(|value| example(source, at, key, value)) {
                n_tried += 1;
                for found in check(source, at, &text).keys.iter().filter(|found| found.key.contains(key)) {
                    let words = found.outcome.words();
                    assert!(!words.contains("not a key of"), "{at} {key}: {found:?}\n{text}");
                    n_read += usize::from(!words.contains("not of the form") && words != "there is nothing in it");
                }
            }
            let has_own_table = *at == "(top of the file)" || *key == "model_info" || n_tried == 0;
            assert!(n_read > 0 || has_own_table, "{at} {key}: no value of it is read");
        }
    }
}

#[test]
fn a_key_nobody_knows_is_unsupported_with_its_line() {
    let imported = check(Source::Litellm, "x", "model_list: []\nrouter_settings:\n  new_in_version_9: { a: [1] }\n");
    let key = imported.keys.iter().find(|key| key.key == "router_settings.new_in_version_9.a[0]").unwrap();
    assert_eq!(key.line, 3);
    assert!(matches!(key.outcome, Outcome::Unsupported { .. }));
}

#[test]
fn the_last_of_two_equal_keys_counts_and_the_first_is_accounted_for() {
    let text = "model_list:\n  - model_name: a\n    model_name: b\n    litellm_params: { model: openai/x }\n";
    let imported = check(Source::Litellm, "x", text);
    assert!(imported.config.contains("  b:\n"), "{}", imported.config);
    assert_eq!(imported.keys[0].line, 2);
    assert!(imported.keys[0].outcome.words().contains("written again on line 3"), "{:?}", imported.keys[0]);
}

#[test]
fn anchors_and_merge_keys_are_read_as_pyyaml_does() {
    let text = "
x: &defaults { api_key: os.environ/K, api_base: http://gpu-1:8000/v1 }
model_list:
  - model_name: a
    litellm_params: { <<: *defaults, model: hosted_vllm/a, api_base: http://gpu-2:8000/v1 }
";
    let imported = check(Source::Litellm, "x", text);
    assert!(imported.config.contains("base_url: http://gpu-2:8000/v1\n    api_key: ${K}"), "{}", imported.config);
}

#[test]
fn every_line_of_toml_and_json_is_the_one_it_is_written_on() {
    let toml = "# first\n[gateway]\ndebug = true\n\n[models.\"a.b\"]\nrouting = [\n  'p',\n]\n";
    let lines: Vec<(String, usize)> =
        check(Source::Tensorzero, "x", toml).keys.into_iter().map(|key| (key.key, key.line)).collect();
    assert_eq!(lines, [("gateway.debug".to_owned(), 3), ("models.\"a.b\".routing[0]".to_owned(), 7)]);
    let json = "{\n  \"retry\": {\n    \"attempts\": 1,\n    \"codes\": [\n      429\n    ]\n  }\n}\n";
    let lines: Vec<(String, usize)> =
        check(Source::Portkey, "x", json).keys.into_iter().map(|key| (key.key, key.line)).collect();
    assert_eq!(lines, [("retry.attempts".to_owned(), 3), ("retry.codes[0]".to_owned(), 5)]);
}

#[test]
fn what_is_neither_toml_nor_json_is_said_with_its_place() {
    let error = import(Source::Tensorzero, "a = 1\nb = = 2\n", &beside("x")).unwrap_err();
    assert!(error.line == 2 && error.what.starts_with("not TOML"), "{error}");
    let error = import(Source::Portkey, "{\n  \"a\": 1,,\n}", &beside("x")).unwrap_err();
    assert!(error.line == 2 && error.what.starts_with("not JSON"), "{error}");
    assert!(import(Source::Portkey, "[1]", &beside("x")).unwrap_err().to_string().contains("a map of settings"));
}

#[test]
fn what_is_not_yaml_is_said_with_its_place() {
    let error = import(Source::Litellm, "model_list:\n  - [", &beside("x")).unwrap_err();
    assert_eq!(error.line, 3, "{error}");
    assert!(import(Source::Litellm, "- a\n", &beside("x")).unwrap_err().to_string().contains("a map of settings"));
    assert!(
        import(Source::Litellm, "a: 1\n---\nb: 2\n", &beside("x")).unwrap_err().to_string().contains("second `---`")
    );
    let deep = "[".repeat(100);
    assert!(import(Source::Litellm, &format!("a: {deep}"), &beside("x")).is_err());
}

#[test]
fn equal_secrets_share_a_variable_and_other_ones_do_not_take_its_name() {
    let text = "
model_list:
  - { model_name: a, litellm_params: { model: openai/a, api_key: canary-1 } }
  - { model_name: b, litellm_params: { model: openai/b, api_key: canary-1 } }
  - { model_name: c, litellm_params: { model: openai/c, api_key: canary-2 } }
  - { model_name: d, litellm_params: { model: openai/d, api_key: os.environ/OPENAI_API_KEY } }
";
    let imported = check(Source::Litellm, "x", text);
    let names: Vec<&str> = imported.environment.iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!(names, ["OPENAI_API_KEY", "OPENAI_API_KEY_2", "OPENAI_API_KEY_3"]);
    assert!(!imported.config.contains("canary") && !format!("{imported:?}").contains("canary"));
    assert_eq!(imported.config.matches("api_key: ${OPENAI_API_KEY_2}").count(), 1, "{}", imported.config);
}

/// The reasons of this file's secrets, which nothing else of the import shows.
#[track_caller]
fn check_withheld(source: Source, text: &str, paths: &[&str]) {
    let imported = check(source, "x", text);
    let said = serde_json::to_string(&imported).unwrap();
    assert!(!said.contains("canary"), "{said}");
    let withheld = imported.keys.iter().filter(|key| key.outcome.words().contains("looks like a secret"));
    let withheld: Vec<&str> = withheld.map(|key| key.key.as_str()).collect();
    assert_eq!(withheld, paths, "{said}");
}

#[test]
fn what_looks_like_a_secret_where_none_belongs_is_withheld_from_config_and_report() {
    let toml = "[models.m]\nrouting = ['p']\n[models.m.providers.p]\ntype = 'vllm'\napi_base = 'http://gpu-1/v1'\nmodel_name = 'sk-canary-7d1f'\n";
    check_withheld(Source::Tensorzero, toml, &["models.m.providers.p.model_name"]);
    let yaml = "model_list: [{ model_name: a, litellm_params: { model: openai/sk-canary-7d1f, rpm: 3 } }]";
    check_withheld(Source::Litellm, yaml, &["model_list[0].litellm_params.model"]);
    let yaml = "model_list: [{ model_name: ' sk-canary-7d1f', litellm_params: { model: openai/x } }]";
    check_withheld(Source::Litellm, yaml, &["model_list[0].model_name", "model_list[0].litellm_params.model"]);
    let json = r#"{"provider":"openai","override_params":{"model":"sk-canary-7d1f"},"custom_host":"https://h/v1?key=sk-canary-7d1f"}"#;
    check_withheld(Source::Portkey, json, &["override_params.model", "custom_host"]);
}

#[test]
fn a_key_that_looks_like_a_secret_is_not_shown_and_nothing_below_it_is_carried_over() {
    let toml = "[models.m]\nrouting = ['p']\n[models.m.providers.p]\ntype = 'openai'\nmodel_name = 'x'\n[models.sk-canary-7d1f]\nrouting = ['p']\n";
    check_withheld(Source::Tensorzero, toml, &["models.….routing[0]"]);
    let yaml = "router_settings: { model_group_alias: { sk-canary-7d1f: a, sk-canary-7d1f: b } }";
    check_withheld(Source::Litellm, yaml, &["router_settings.model_group_alias.…"]);
}

#[test]
fn a_secret_among_the_parameters_of_requests_becomes_a_variable_as_ever() {
    let text =
        "model_list: [{ model_name: a, litellm_params: { model: openai/x, extra_body: { auth: sk-canary-7d1f } } }]";
    let imported = check(Source::Litellm, "x", text);
    assert!(imported.config.contains("${A_AUTH}"), "{}", imported.config);
    assert!(!format!("{imported:?}").contains("canary"));
}

#[test]
fn names_of_models_that_begin_like_a_key_are_names() {
    for name in ["hf_llama-3", "ASIA-PACIFIC", "desk-assistant-7b", "fw_small", "sk-x"] {
        let text = format!("model_list: [{{ model_name: {name}, litellm_params: {{ model: openai/{name} }} }}]");
        let imported = check(Source::Litellm, "x", &text);
        assert!(imported.config.contains(&format!("model: {name}")), "{}", imported.config);
    }
}
