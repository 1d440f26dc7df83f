//! `stages.shadow.judged`: the checks that say what both answers of a pair are worth, and the model that is asked. Both are `eval`'s, and the
//! shadow, which may not know that room, asks them through [`Judge`] and [`model`].

mod model;

use std::sync::Arc;

use eval::live::{Checks, Spec};
use eval::metric::{Answer, Call};
use gateway::shadow::{Judge, Judging, Spoken, Worth};
use serde_json::Value;

use crate::config::reader::Item;
use crate::config::targets::Targets;

/// What is judged of an answer when nobody says: the longest that the slowest metric takes milliseconds for.
const MAX_TEXT: usize = 8 << 10;

/// `judged: { judge: { target: judge, kind: pairwise, criteria: "..." }, checks: [json_schema, { metric: squad_f1, against: baseline, threshold: 0.8 }], sample: 1, per_second: 50, max_text: 8KiB }`.
pub(super) fn read(item: &Item<'_>, noise_duplicate: f64, targets: &Targets) -> Option<Judging> {
    let section = item.section()?;
    let sample = section.get("sample").and_then(|item| item.share()).map_or(1.0, |share| share.value);
    let per_second = section.get("per_second").and_then(|item| item.number(0.001, 1e9));
    let max_text = section.get("max_text").and_then(|item| item.size()).unwrap_or(MAX_TEXT);
    let model = section.get("judge").map(|item| model::read(&item, targets));
    let written = section.get("checks").map(|item| item.one_or_more("checks"));
    section.finish();
    if model.is_none() && written.is_none() {
        let hint = "`checks: [json_schema]`, or `judge: { target: NAME, kind: pairwise, criteria: TEXT }`";
        item.note("nothing says what a good answer is: `checks` and `judge` are missing", Some(hint.into()));
        return None;
    }
    let judge = match written {
        Some(written) => Some(checks(item, &written, noise_duplicate)?),
        None => None,
    };
    let model = match model {
        Some(model) => Some(model?),
        None => None,
    };
    Some(Judging { judge, model, sample, per_second, max_text })
}

fn checks(item: &Item<'_>, written: &[Item<'_>], noise_duplicate: f64) -> Option<Arc<dyn Judge>> {
    let specs: Vec<Spec> = written.iter().map(spec).collect::<Option<_>>()?;
    if specs.is_empty() {
        return None;
    }
    let checks = match Checks::of(&specs) {
        Ok(checks) => checks,
        Err((place, wrong)) => {
            written[place].note(wrong.to_string(), None);
            return None;
        }
    };
    if checks.needs_baseline() && noise_duplicate <= 0.0 {
        let message = "a check against the baseline compares the candidate with the baseline's own second answer, and it is asked for none";
        item.note(
            message,
            Some("write `noise_duplicate: 0.2` beside `judged`: the fraction that can be judged so".into()),
        );
    }
    Some(Arc::new(ByChecks::new(checks)))
}

/// A metric's name, or a map: what is not the check's own is a setting of the metric.
fn spec(item: &Item<'_>) -> Option<Spec> {
    let wrong = |message: &str| {
        item.note(message, Some("such as `{ metric: squad_f1, against: baseline, threshold: 0.8 }`".into()));
        None
    };
    let mut members = match item.json()? {
        Value::String(metric) => return Some(Spec { metric, ..Spec::default() }),
        Value::Object(members) => members,
        _ => return wrong("a check is the name of a metric, or a map with it as `metric`"),
    };
    let Some(Value::String(metric)) = members.remove("metric") else { return wrong("a check names its `metric`") };
    let against_baseline = match members.remove("against") {
        None => false,
        Some(Value::String(word)) if word == "baseline" => true,
        Some(_) => return wrong("`against` is `baseline`, or is not written"),
    };
    let threshold = match members.remove("threshold").map(|threshold| threshold.as_f64()) {
        None => None,
        Some(Some(threshold)) => Some(threshold),
        Some(None) => return wrong("`threshold` is a number"),
    };
    let not = match members.remove("not") {
        None => false,
        Some(Value::Bool(not)) => not,
        Some(_) => return wrong("`not` is `true` or `false`"),
    };
    let value = members.remove("value").unwrap_or_default();
    Some(Spec { metric, value, against_baseline, threshold, not, settings: members })
}

/// The checks of a rollout as its shadow asks them.
#[derive(Debug)]
struct ByChecks {
    checks: Checks,
    metrics: Vec<String>,
}

impl ByChecks {
    fn new(checks: Checks) -> Self {
        // The settings are part of the whole definition's id; beside a value the name is enough.
        let name = |id: &str| id.split(':').next().unwrap_or(id).to_owned();
        let metrics = checks.metrics().map(name).collect();
        Self { checks, metrics }
    }
}

impl Judge for ByChecks {
    fn definition(&self) -> &str {
        self.checks.definition()
    }

    fn metrics(&self) -> &[String] {
        &self.metrics
    }

    fn needs_baseline(&self) -> bool {
        self.checks.needs_baseline()
    }

    fn judge(&self, request: &[u8], baseline: &Spoken, answers: &[Spoken]) -> Result<Vec<Worth>, &'static str> {
        let answers: Vec<Answer> = answers.iter().map(answer).collect();
        let worth = self.checks.score(request, Some(&answer(baseline)), &answers)?;
        Ok(worth.into_iter().map(|worth| Worth { bad: worth.bad, values: worth.values }).collect())
    }
}

fn answer(spoken: &Spoken) -> Answer {
    let call = |(name, arguments): &(String, String)| Call { name: name.clone(), arguments: arguments.clone() };
    Answer {
        text: spoken.text.clone(),
        calls: spoken.calls.iter().map(call).collect(),
        finish_reason: spoken.finish.map(str::to_owned),
        ..Answer::default()
    }
}
