//! Variants that may help a prompt whose answers failed checks: made of what it has, each one change, none of them applied. Whoever asks
//! measures them against the golden tests and decides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::trial::{Check, Helper};
use super::{Delimiters, Form, Golden, Placement, Prompt, Role, Shot, Variant};

/// A variant that may help.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// What it is called: the helper, and what it does.
    pub name: String,
    /// What kind of change it is.
    pub helper: Helper,
    /// What it changes, in a sentence.
    pub what: String,
    /// The variant: what it says otherwise than the form it was made of.
    pub variant: Variant,
    /// Golden tests of the prompt that it shows the answers of: they prove nothing of it.
    pub shows: Vec<usize>,
}

/// Examples that are shown at most.
const MOST_SHOTS: usize = 3;

/// The variants to try for a form whose answers failed these checks. `good` are golden tests with a right answer, as a target gave it: examples
/// are made of them, never of a test's own question when that test is asked (see [`Proposal`]).
#[must_use]
pub fn proposals(
    prompt: &Prompt,
    form: &Form,
    failed: &BTreeMap<Check, u64>,
    good: &[(&Golden, String)],
) -> Vec<Proposal> {
    let mut helpers: BTreeSet<Helper> = failed.keys().flat_map(|check| check.helpers()).copied().collect();
    // Where an expectation does not hold nothing is known to help, and these are worth asking.
    if failed.contains_key(&Check::Expectation) || failed.contains_key(&Check::Refusal) {
        helpers.extend([Helper::Delimiters, Helper::FewShots, Helper::Placement]);
    }
    let mut all = Vec::new();
    for helper in helpers {
        match helper {
            Helper::StricterFormat => all.extend(stricter(form, failed)),
            Helper::Delimiters => all.extend(delimited(prompt, form)),
            Helper::FewShots => all.extend(few_shots(prompt, form, good)),
            Helper::Parameters => all.extend(parameters(form, failed)),
            Helper::Placement => all.extend(placement(form)),
        }
    }
    all
}

fn stricter(form: &Form, failed: &BTreeMap<Check, u64>) -> Option<Proposal> {
    let mut sentences = Vec::new();
    let has = |check: Check| failed.contains_key(&check);
    if has(Check::WrappedJson) || has(Check::InvalidJson) {
        sentences.push("Answer with one JSON value and nothing else: no code fence, no words before it or after it.");
    }
    if has(Check::TooLong) || has(Check::CutOff) {
        sentences.push("Keep the answer as short as it can be and still complete.");
    }
    if has(Check::ThoughtsInText) {
        sentences.push("Give the answer alone, without your reasoning.");
    }
    if has(Check::Language) {
        sentences.push("Answer in the language of the user's last message.");
    }
    if sentences.is_empty() {
        return None;
    }
    let instruction = form.instruction.iter().map(String::as_str).chain(sentences).collect::<Vec<_>>().join(" ");
    Some(Proposal {
        name: Helper::StricterFormat.as_str().to_owned(),
        helper: Helper::StricterFormat,
        what: format!("says at the end of the system message: {instruction}"),
        variant: Variant { instruction: Some(instruction), ..Variant::default() },
        shows: Vec::new(),
    })
}

fn delimited(prompt: &Prompt, form: &Form) -> Vec<Proposal> {
    if !prompt.variables.values().any(|variable| variable.delimited) {
        return Vec::new();
    }
    let others = [Delimiters::Xml, Delimiters::Fence, Delimiters::Brackets];
    let others = others.into_iter().filter(|style| *style != form.delimiters);
    let proposal = |style: Delimiters| Proposal {
        name: format!("{}_{}", Helper::Delimiters.as_str(), style.as_str()),
        helper: Helper::Delimiters,
        what: format!("puts what is filled in between delimiters of the style `{}`", style.as_str()),
        variant: Variant { delimiters: Some(style), ..Variant::default() },
        shows: Vec::new(),
    };
    others.map(proposal).collect()
}

fn few_shots(prompt: &Prompt, form: &Form, good: &[(&Golden, String)]) -> Option<Proposal> {
    let shot = |(golden, answer): &(&Golden, String)| {
        let request = prompt.request_of(&Form { few_shots: Vec::new(), ..form.clone() }, &golden.values).ok()?;
        let messages = request.get("messages").and_then(Value::as_array)?;
        let user = messages.iter().rev().find(|message| message["role"] == "user")?;
        Some(Shot { user: user["content"].as_str()?.to_owned(), assistant: answer.clone() })
    };
    let shots: Vec<Shot> = good.iter().filter_map(shot).take(MOST_SHOTS).collect();
    if shots.is_empty()
        || form.system == Placement::User && form.messages.iter().any(|message| message.role == Role::System)
    {
        return None;
    }
    let names: Vec<&str> = good.iter().take(MOST_SHOTS).map(|(golden, _)| golden.name.as_str()).collect();
    let n = shots.len();
    let shown = good.iter().take(MOST_SHOTS);
    let shows = shown.filter_map(|(golden, _)| prompt.tests.iter().position(|test| test.name == golden.name)).collect();
    Some(Proposal {
        name: Helper::FewShots.as_str().to_owned(),
        helper: Helper::FewShots,
        what: format!("shows {n} examples, of the golden tests {}, which then prove nothing", names.join(", ")),
        variant: Variant { few_shots: Some([form.few_shots.clone(), shots].concat()), ..Variant::default() },
        shows,
    })
}

fn parameters(form: &Form, failed: &BTreeMap<Check, u64>) -> Vec<Proposal> {
    let set = |name: &str, value: Value| {
        let shown = value.to_string().replace('"', "");
        Proposal {
            name: format!("{}_{name}_{shown}", Helper::Parameters.as_str()),
            helper: Helper::Parameters,
            what: format!("sets `{name}` to {value}"),
            variant: Variant { parameters: Map::from_iter([(name.to_owned(), value)]), ..Variant::default() },
            shows: Vec::new(),
        }
    };
    let now = |name: &str| form.parameters.get(name).and_then(Value::as_f64);
    let mut sweep = Vec::new();
    let others = [0.0, 0.3, 0.7].into_iter().filter(|temperature| now("temperature") != Some(*temperature));
    sweep.extend(others.map(|temperature| set("temperature", json!(temperature))));
    if failed.contains_key(&Check::CutOff) {
        let names = ["max_completion_tokens", "max_tokens"];
        let named =
            names.into_iter().find_map(|name| form.parameters.get(name).and_then(Value::as_u64).map(|n| (name, n)));
        sweep.extend(named.map(|(name, most)| set(name, json!(most.saturating_mul(2)))));
    }
    sweep
}

fn placement(form: &Form) -> Option<Proposal> {
    let has_system = form.messages.iter().any(|message| message.role == Role::System);
    (has_system && form.system != Placement::User).then(|| Proposal {
        name: format!("{}_user", Helper::Placement.as_str()),
        helper: Helper::Placement,
        what: "puts the system message at the beginning of the user's first".to_owned(),
        variant: Variant { system: Some(Placement::User), ..Variant::default() },
        shows: Vec::new(),
    })
}
