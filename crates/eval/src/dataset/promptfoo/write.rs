//! What a configuration becomes, as files.

use serde_json::Value;

use super::{Converted, Fate, Judged, Suggestion};
use crate::case::Check;
use crate::dataset::Dataset;
use crate::metric::vectors::is_by_meaning;
use crate::run::CHECKS;

/// Places that the comment of a judge names.
const SHOWN_PATHS: usize = 5;

/// The files, each by its path below one directory: the suite, its cases, its prompts, and the targets as a config.
#[must_use]
pub fn files(source: &str, converted: &Converted) -> Vec<(String, String)> {
    let dataset = Dataset { name: String::new(), cases: converted.cases.clone() };
    let mut files =
        vec![("suite.yaml".to_owned(), suite(source, converted)), ("cases.jsonl".to_owned(), dataset.to_jsonl())];
    if !converted.targets.is_empty() {
        files.push(("crossfade.yaml".to_owned(), config(source, &converted.targets)));
    }
    let mut taken: Vec<String> = Vec::new();
    for (name, text) in &converted.prompts {
        let mut free = name.clone();
        let mut n = 1;
        while taken.contains(&free) {
            n += 1;
            free = format!("{name}-{n}");
        }
        files.push((format!("prompts/{free}.yaml"), format!("# From {source}.\n{text}")));
        taken.push(free);
    }
    files
}

fn suite(source: &str, converted: &Converted) -> String {
    let has_checks = converted.cases.iter().any(|case| !case.checks.is_empty());
    let mut text = format!("# From {source}.\nfile: cases.jsonl\n");
    let names: Vec<&str> = converted.targets.iter().map(|target| target.name.as_str()).collect();
    if names.is_empty() {
        text += "# targets: [baseline, candidate]\n";
    } else {
        text += &format!("targets: [{}]          # the baseline first\n", names.join(", "));
    }
    if has_checks {
        text += &format!("metrics: [{CHECKS}]\n");
    } else {
        text += "metrics: [non_empty]          # the source asserts nothing that is measured here\n";
    }
    if converted.cases.iter().any(|case| names_by_meaning(&case.checks)) {
        text +=
            "# encoder: NAME          # needed: a target that makes embeddings, for the checks by `embedding_cosine`\n";
    }
    text += "margin: 0.05          # by so much and more a candidate must not be worse\n";
    if let Some(repeats) = converted.repeats {
        text += &format!("repeats: {repeats}\n");
    }
    if !converted.judged.is_empty() {
        text += "\n# What a model is to judge is no check of any case: no number is made of it until a judge of the suite is. A judge grades every case; where only\n\
                 # some tests ask for it, put their cases into a suite of their own.\n# judges:\n";
        for (idx, Judged { rubric, not, paths }) in converted.judged.iter().enumerate() {
            let turned = if *not { "a pass is what is not to be; " } else { "" };
            let asked: Vec<String> = paths.iter().take(SHOWN_PATHS).map(|path| comment(path)).collect();
            let more = match paths.len().saturating_sub(SHOWN_PATHS) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            let asked = asked.join(", ");
            text += &format!("#   judge-{}: {}          # {turned}{asked}{more}\n", idx + 1, judge(rubric));
        }
    }
    let lost = converted.entries.iter().filter_map(|entry| match &entry.fate {
        Fate::Unsupported { why, hint } => {
            Some(format!("# {}: {}: {}; {}\n", entry.line, comment(&entry.key), comment(why), comment(hint)))
        }
        _ => None,
    });
    let lost: String = lost.collect();
    if !lost.is_empty() {
        text += &format!("\n# Not carried over, by the line of the source:\n{lost}");
    }
    text
}

/// The judge of a suite that goes by this rubric.
pub(super) fn judge(rubric: &str) -> String {
    format!("{{ target: NAME, kind: rubric, scale: pass_fail, criteria: {} }}", quoted(rubric))
}

/// Whether one of the checks needs an encoder.
fn names_by_meaning(checks: &[Check]) -> bool {
    checks.iter().any(|check| {
        let inner = || serde_json::from_value::<Vec<Check>>(check.value.clone()).unwrap_or_default();
        is_by_meaning(&check.metric) || check.metric == CHECKS && names_by_meaning(&inner())
    })
}

fn config(source: &str, targets: &[Suggestion]) -> String {
    let mut text = format!(
        "# The targets of {}, as a suggestion: see to addresses, keys and prices.\nlisten: 127.0.0.1:4000\nproviders:\n",
        comment(source)
    );
    let mut providers: Vec<&Suggestion> = Vec::new();
    for target in targets.iter().filter(|target| !target.model.is_empty()) {
        if providers.iter().any(|other| other.provider == target.provider) {
            continue;
        }
        providers.push(target);
        text +=
            &format!("  {}: {{ dialect: {}, base_url: {}", target.provider, target.dialect, quoted(&target.base_url));
        if !target.key.is_empty() {
            text += &format!(", api_key: \"${{{}}}\"", target.key);
        }
        text += " }\n";
    }
    text += "targets:\n";
    for target in targets {
        text += &format!("  {}: {{ provider: {}, model: {}", target.name, target.provider, quoted(&target.model));
        if !target.parameters.is_empty() {
            text += &format!(", parameters: {{ set: {} }}", Value::Object(target.parameters.clone()));
        }
        text += " }\n";
    }
    text += "routes:\n";
    for target in targets {
        text += &format!("  {}: {{ target: {} }}\n", target.name, target.name);
    }
    text
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// One line.
fn comment(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}
