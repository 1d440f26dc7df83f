//! Every value of a config is accounted for, and no secret gets out.

mod random;

use std::path::{Path, PathBuf};

use expect_test::expect_file;
use saphyr_parser::{Event, Parser};

use super::rules::{Rule, Section, Verdict};
use super::tree::{Node, Place, Tree, Value};
use super::{Imported, Importing, Outcome, Source, import, litellm, tree};

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

/// What was decided twice.
fn contested(source: Source, tree: &Tree) -> Vec<String> {
    let mut importing = Importing::new(tree);
    match source {
        Source::Litellm => litellm::read(&tree.root, &mut importing),
    }
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
    let tree = tree::yaml::parse(text).unwrap();
    let contested = contested(source, &tree);
    assert!(contested.is_empty(), "{name}: decided twice: {contested:?}");
    let imported = import(source, name, text, &nothing).unwrap();
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

#[test]
fn a_whole_config_of_litellms() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/tests/litellm.yaml");
    let imported = check(Source::Litellm, "litellm.yaml", &read(&path));
    expect_file!["tests/litellm.crossfade.yaml"].assert_eq(&imported.config);
    let line =
        |key: &super::Key| format!("{} {}: {}: {}\n", key.line, key.key, key.outcome.as_str(), key.outcome.words());
    expect_file!["tests/litellm.keys.txt"].assert_eq(&imported.keys.iter().map(line).collect::<String>());
}

/// Whatever a table promises to map, a reader takes care of, whatever stands there.
#[test]
fn a_key_that_a_table_calls_mapped_is_never_left_over() {
    let values = ["word", "5", "true", "[a, b]", "{ a: b }", "[{ a: [b] }]", "", "os.environ/X"];
    const PLAIN: &str = "model_list: [{ model_name: x, litellm_params: { model: openai/x } }]";
    let sections = litellm::tables::SECTIONS.iter();
    for (Section { at, .. }, rule) in sections.flat_map(|section| section.rules.iter().map(move |rule| (section, rule)))
    {
        let Rule { key, verdict: Verdict::Mapped(_) } = rule else { continue };
        let mut n_read = 0;
        for value in values {
            let text = match *at {
                // What is below a section has a table of its own.
                _ if value.contains(':') && (*at == "(top of the file)" || *key == "model_info") => continue,
                "(top of the file)" => format!("{key}: {value}\n"),
                "model_list[]" => {
                    format!("model_list: [{{ model_name: x, litellm_params: {{ model: openai/x }}, {key}: {value} }}]")
                }
                "model_list[].litellm_params" => PLAIN.replace("openai/x", &format!("openai/x, {key}: {value}")),
                "model_list[].model_info" => {
                    PLAIN.replace("} }]", &format!("}}, model_info: {{ {key}: {value} }} }}]"))
                }
                section => format!("{PLAIN}\n{section}: {{ {key}: {value} }}\n"),
            };
            for found in check(Source::Litellm, at, &text).keys.iter().filter(|found| found.key.contains(key)) {
                let words = found.outcome.words();
                assert!(!words.contains("not a key of"), "{at} {key}: {value}: {found:?}");
                n_read += usize::from(!words.contains("not of the form") && words != "there is nothing in it");
            }
        }
        let has_own_table = *at == "(top of the file)" || *key == "model_info";
        assert!(n_read > 0 || has_own_table, "{at} {key}: no value of it is read");
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
fn what_is_not_yaml_is_said_with_its_place() {
    let error = import(Source::Litellm, "x", "model_list:\n  - [", &nothing).unwrap_err();
    assert_eq!(error.line, 3, "{error}");
    assert!(import(Source::Litellm, "x", "- a\n", &nothing).unwrap_err().to_string().contains("a map of settings"));
    assert!(
        import(Source::Litellm, "x", "a: 1\n---\nb: 2\n", &nothing).unwrap_err().to_string().contains("second `---`")
    );
    let deep = "[".repeat(100);
    assert!(import(Source::Litellm, "x", &format!("a: {deep}"), &nothing).is_err());
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
