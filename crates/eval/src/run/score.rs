//! What an answer is worth by the metrics of a plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::ScoredRow;

use crate::case::{Answer, Case, Check, Document};
use crate::encode;
use crate::metric::calls;
use crate::metric::code::{self, Bench};
use crate::metric::{self, Metric, Needs, Score, UnknownMetric, Unscored};

/// The name of the metric that says whether everything holds that a case asks of its answer.
pub const CHECKS: &str = "checks";
/// The id of its definition.
const CHECKS_ID: &str = "checks@crossfade-1";
/// The name of the metric whose checks are held against a list of calls.
const CALLS: &str = "tool_calls";

/// A metric by its name, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The name.
    pub name: String,
    /// The settings.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub settings: Value,
}

/// The metrics of a plan, ready to be applied.
#[derive(Debug, Clone)]
pub struct Scorer {
    metrics: Vec<(String, Option<Metric>)>,
}

impl Spec {
    /// What it is called in reports: its setting `as`, else the metric's name.
    #[must_use]
    pub fn label(&self) -> &str {
        self.settings.get("as").and_then(Value::as_str).unwrap_or(&self.name)
    }

    /// The settings that are the metric's own.
    #[must_use]
    pub fn own_settings(&self) -> Value {
        let mut settings = self.settings.clone();
        if let Some(members) = settings.as_object_mut() {
            members.remove("as");
        }
        settings
    }
}

/// What a call took, where that is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Took {
    /// From the call to the last byte, in microseconds.
    pub latency_us: Option<u64>,
    /// What all attempts cost, in billionths of a dollar.
    pub cost_nanos: Option<u64>,
}

impl Scorer {
    /// Finds the metrics.
    ///
    /// # Errors
    /// When there is none of a name, or it has no such setting.
    pub fn of(specs: &[Spec]) -> Result<Scorer, UnknownMetric> {
        Scorer::at(specs, None)
    }

    /// The same, where those that run code run it at this bench; without one they have no values.
    ///
    /// # Errors
    /// As [`Scorer::of`].
    pub fn at(specs: &[Spec], bench: Option<&Arc<Bench>>) -> Result<Scorer, UnknownMetric> {
        let one = |spec: &Spec| match spec.name.as_str() {
            CHECKS => Ok((CHECKS.to_owned(), None)),
            name => metric::of_suite(name, &spec.own_settings(), bench)
                .map(|metric| (spec.label().to_owned(), Some(metric))),
        };
        Ok(Scorer { metrics: specs.iter().map(one).collect::<Result<_, _>>()? })
    }

    /// Whether any of them runs code, and so takes long and waits.
    #[must_use]
    pub fn runs_code(&self) -> bool {
        let begins =
            |metric: &Metric, name: &str| metric.id.strip_prefix(name).is_some_and(|rest| rest.starts_with('@'));
        self.metrics
            .iter()
            .filter_map(|(_, metric)| metric.as_ref())
            .any(|metric| code::NAMES.iter().any(|name| begins(metric, name)))
    }

    /// Name and id of each.
    pub fn ids(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metrics
            .iter()
            .map(|(name, metric)| (name.as_str(), metric.as_ref().map_or(CHECKS_ID, |metric| metric.id.as_str())))
    }

    /// The definition of the metric of this name; `None` for one that is not ours to define.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|(known, _)| known == name)?.1.as_ref()
    }

    /// What each says of an answer of which nothing is known but what it says.
    #[must_use]
    pub fn score(&self, case: &Case, answer: &Answer) -> Vec<(String, Score)> {
        self.score_call(case, answer, Took::default())
    }

    /// What each says of an answer.
    #[must_use]
    pub fn score_call(&self, case: &Case, answer: &Answer, took: Took) -> Vec<(String, Score)> {
        let (asked, answered) = (as_metrics_want(case, answer), of_answer((case, answer), took));
        let scores = self.metrics.iter().map(|(_, metric)| match metric {
            Some(metric) => (metric.id.clone(), metric.score(&asked, &answered)),
            None => (CHECKS_ID.to_owned(), checks(case, &asked, &answered)),
        });
        scores.collect()
    }

    /// What those say that need vectors, `checks` among them where the case has a check that does.
    pub(crate) fn by_meaning(
        &self,
        (case, is_checked): (&Case, bool),
        (answer, took): (&Answer, Took),
        judged: metric::Judged,
    ) -> Vec<(String, Score)> {
        let asked = as_metrics_want(case, answer);
        let answered = metric::Answer { judged: Some(judged), ..of_answer((case, answer), took) };
        let score = |metric: &Option<Metric>| match metric {
            Some(metric) => metric.score(&asked, &answered),
            None => checks(case, &asked, &answered),
        };
        self.needing_vectors(is_checked).map(|(id, metric)| (id.to_owned(), score(metric))).collect()
    }

    /// The same where there are no vectors.
    pub(crate) fn without_meaning(&self, is_checked: bool, why: Unscored) -> Vec<(String, Score)> {
        self.needing_vectors(is_checked).map(|(id, _)| (id.to_owned(), Score::unscored(why))).collect()
    }

    fn needing_vectors(&self, is_checked: bool) -> impl Iterator<Item = (&str, &Option<Metric>)> {
        let needing = self.metrics.iter().filter(move |(_, metric)| {
            metric.as_ref().map_or(is_checked, |metric| metric::vectors::is_by_meaning(&metric.id))
        });
        needing.map(|(_, metric)| (metric.as_ref().map_or(CHECKS_ID, |metric| metric.id.as_str()), metric))
    }

    /// What has to be known of an answer to a case that only a model, or a person, can say.
    #[must_use]
    pub fn needs(&self, case: &Case) -> Needs {
        let of_metric = |metric: &Option<Metric>| metric.as_ref().map_or_else(|| needs_of(&case.checks), |of| of.needs);
        self.metrics.iter().map(|(_, metric)| of_metric(metric)).fold(Needs::default(), Needs::and)
    }

    /// What has to be known of answers for what the cases check, where checks are measured.
    pub(crate) fn needs_of_checks(&self, cases: &[Case]) -> Needs {
        let is_measured = self.metrics.iter().any(|(_, metric)| metric.is_none());
        let checked = cases.iter().filter(|_| is_measured).map(|case| needs_of(&case.checks));
        checked.fold(Needs::default(), Needs::and)
    }

    /// What those say that need a judge's word, `checks` among them where the case has a check that does. A case that has a check by meaning too waits
    /// for [`by_meaning`](Scorer::by_meaning).
    pub(crate) fn by_judge(
        &self,
        case: &Case,
        (answer, took): (&Answer, Took),
        judged: metric::Judged,
    ) -> Vec<(String, Score)> {
        let asked = as_metrics_want(case, answer);
        let answered = metric::Answer { judged: Some(judged), ..of_answer((case, answer), took) };
        let is_checked = needs_of(&case.checks).is_any() && !encode::is_checked(&case.checks);
        let needing = self.metrics.iter().filter_map(|(_, metric)| match metric {
            Some(metric) if metric.needs.is_any() => Some((metric.id.clone(), metric.score(&asked, &answered))),
            None if is_checked => Some((CHECKS_ID.to_owned(), checks(case, &asked, &answered))),
            _ => None,
        });
        needing.collect()
    }

    pub(super) fn rows(&self, case: &Case, answer: &Answer, took: Took) -> Vec<ScoredRow> {
        let row = |(metric, score): (String, Score)| ScoredRow {
            metric,
            // A score is numbers and words: it always serialises.
            json: serde_json::to_string(&score).unwrap_or_default(),
        };
        self.score_call(case, answer, took).into_iter().map(row).collect()
    }

    /// Whether a check can be measured at all.
    ///
    /// # Errors
    /// When there is no such metric, or it does not take these settings.
    pub fn check(check: &Check) -> Result<(), UnknownMetric> {
        examine(check)
    }

    /// Checks of cases that name no metric there is.
    ///
    /// # Errors
    /// The first one, with the case's id.
    pub fn check_cases<'c>(cases: impl IntoIterator<Item = &'c Case>) -> Result<(), (String, UnknownMetric)> {
        for case in cases {
            for check in &case.checks {
                examine(check).map_err(|error| (case.id.clone(), error))?;
            }
        }
        Ok(())
    }
}

/// 1 when every check of the case holds, else 0; no value where it has none, or one of them cannot be measured.
fn checks(case: &Case, asked: &metric::Case, answered: &metric::Answer) -> Score {
    if case.checks.is_empty() {
        return Score::unscored(Unscored::NoReference);
    }
    match all(&case.checks, None, (asked, answered)) {
        Ok(holds) => Score::is(holds),
        Err(why) => Score::unscored(why),
    }
}

/// Whether those of the checks that count for anything hold: every one, or by weight so large a part of them.
fn all(
    checks: &[Check],
    threshold: Option<f64>,
    (asked, answered): (&metric::Case, &metric::Answer),
) -> Result<bool, Unscored> {
    let (mut held, mut whole) = (0.0, 0.0);
    for check in checks {
        let weight = check.weight.unwrap_or(1.0);
        if weight <= 0.0 {
            continue;
        }
        let holds = holds(check, (asked, answered))?;
        if !holds && threshold.is_none() {
            return Ok(false);
        }
        held += if holds { weight } else { 0.0 };
        whole += weight;
    }
    // Sums of weights such as 0.1 are not exact.
    Ok(threshold.is_none_or(|threshold| whole == 0.0 || held / whole >= threshold - 1e-9))
}

fn holds(check: &Check, (asked, answered): (&metric::Case, &metric::Answer)) -> Result<bool, Unscored> {
    if check.metric == CHECKS {
        let checks = inner(check).map_err(|_| Unscored::MalformedCase)?;
        return Ok(all(&checks, check.threshold, (asked, answered))? != check.not);
    }
    let metric = check_metric(check).map_err(|_| Unscored::MalformedCase)?;
    match metric.score(&held_against(check, asked), answered).measured {
        metric::Measured::Value(value) => Ok(metric.reaches(value, check.threshold.unwrap_or(1.0)) != check.not),
        metric::Measured::Unscored(why) => Err(why),
    }
}

/// The checks that a check of the metric `checks` is made of.
fn inner(check: &Check) -> Result<Vec<Check>, serde_json::Error> {
    serde_json::from_value(check.value.clone())
}

/// Whether a check can be measured at all.
fn examine(check: &Check) -> Result<(), UnknownMetric> {
    let wrong = |problem: String| UnknownMetric::Settings { name: check.metric.clone(), problem };
    if check.metric == CHECKS {
        let checks = inner(check).map_err(|error| wrong(format!("`value` is a list of checks: {error}")))?;
        return checks.iter().try_for_each(examine);
    }
    if check.metric == CALLS && !check.value.is_null() {
        let wrong_call = calls::unreadable(&[serde_json::json!({ "tool_calls": check.value })]).into_iter().next();
        if let Some((place, what)) = wrong_call {
            return Err(wrong(format!("`value`: {}: {what}", place.trim_start_matches("expected."))));
        }
    }
    let metric = check_metric(check)?;
    if metric.is_spent() && check.threshold.is_none() {
        return Err(wrong("a check by it needs a `threshold`".to_owned()));
    }
    Ok(())
}

/// What has to be known of an answer for these checks.
fn needs_of(checks: &[Check]) -> Needs {
    let one = |check: &Check| {
        if check.metric == CHECKS {
            return inner(check).map_or_else(|_| Needs::default(), |checks| needs_of(&checks));
        }
        check_metric(check).map_or_else(|_| Needs::default(), |metric| metric.needs)
    };
    checks.iter().map(one).fold(Needs::default(), Needs::and)
}

/// The metric of a check, with its settings. What it is held against stands for the setting of the same sense where that is not
/// said: the pattern of `regex`, the schema of `contains_json`, what `json_path` finds.
fn check_metric(check: &Check) -> Result<Metric, UnknownMetric> {
    let mut settings = check.settings.clone();
    let meant = match (check.metric.as_str(), &check.value) {
        ("regex", Value::String(_)) => Some("pattern"),
        ("json_path", value) if !value.is_null() => Some("equals"),
        ("contains_json", Value::Object(_)) => Some("schema"),
        _ => None,
    };
    if let Some(setting) = meant.filter(|setting| !settings.contains_key(*setting)) {
        settings.insert(setting.to_owned(), check.value.clone());
    }
    metric::named(&check.metric, &Value::Object(settings))
}

/// The case as a check sees it: what the check names in place of the right answers.
fn held_against(check: &Check, asked: &metric::Case) -> metric::Case {
    let texts = |values: &[Value]| values.iter().map(text).collect();
    match &check.value {
        Value::Null => asked.clone(),
        Value::Array(calls) if check.metric == CALLS => metric::Case { calls: vec![calls.clone()], ..asked.clone() },
        Value::Array(values) => {
            let others = values.iter().filter(|value| !value.is_string()).cloned();
            metric::Case { references: texts(values), values: others.collect(), ..asked.clone() }
        }
        value @ Value::Object(_) => {
            metric::Case { values: vec![value.clone()], schema: Some(value.clone()), ..asked.clone() }
        }
        value => metric::Case { references: texts(std::slice::from_ref(value)), ..asked.clone() },
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What metrics read of a case. Where an answer brings along what it rests on, that is what it was made of.
fn as_metrics_want(case: &Case, answer: &Answer) -> metric::Case {
    let documents = shown(case, answer);
    let others = || case.expected.iter().filter(|answer| !answer.is_string());
    let calls = others().filter_map(|answer| answer.get("tool_calls"));
    // What is no list is no call, and read as such: what cannot be read is never nothing.
    let calls = calls.map(|calls| calls.as_array().cloned().unwrap_or_else(|| vec![Value::Array(vec![calls.clone()])]));
    let schema = case.request.get("response_format").map(|format| &format["json_schema"]["schema"]);
    let tools = case.request.get("tools").and_then(Value::as_array).into_iter().flatten();
    // What holds evidence is relevant, where nothing else is said.
    let of_evidence = || case.evidence.iter().map(|span| (span.document.clone(), 1.0)).collect();
    let relevance = case.relevance.clone().or_else(|| (!case.evidence.is_empty()).then(of_evidence));
    let is_relevant = |document: &Document| relevance.as_ref()?.get(&document.id).map(|gain| *gain > 0.0);
    let holds = relevance.is_some().then(|| documents.iter().any(|document| is_relevant(document) == Some(true)));
    metric::Case {
        references: case.expected_texts().map(str::to_owned).collect(),
        values: others().filter(|answer| answer.get("tool_calls").is_none()).cloned().collect(),
        schema: schema.filter(|schema| !schema.is_null()).cloned(),
        tools: tools
            .filter_map(|tool| {
                let function = &tool["function"];
                let name = function["name"].as_str()?.to_owned();
                Some(metric::Tool { name, parameters: function["parameters"].clone() })
            })
            .collect(),
        calls: calls.collect(),
        documents: documents
            .iter()
            .map(|document| metric::Document { id: document.id.clone(), text: document.text.clone() })
            .collect(),
        // What was said is of the case's own documents; where nothing was, what is relevant is enough.
        answerable: case.answerable.filter(|_| answer.passages.is_empty()).or(holds),
        in_corpus: relevance.as_ref().map(|relevance| relevance.values().any(|gain| *gain > 0.0)),
        relevance: relevance.unwrap_or_default(),
        evidence: case.evidence.iter().map(|span| (span.document.clone(), span.text.clone())).collect(),
        code: case.code.clone(),
    }
}

/// What an answer was made of.
pub(crate) fn shown<'c>(case: &'c Case, answer: &'c Answer) -> &'c [Document] {
    if answer.passages.is_empty() { &case.documents } else { &answer.passages }
}

fn of_answer((case, answer): (&Case, &Answer), took: Took) -> metric::Answer {
    let ranking: Vec<String> = match &answer.ranking {
        Some(ranking) => ranking.iter().filter_map(|idx| Some(case.documents.get(*idx)?.id.clone())).collect(),
        None => shown(case, answer).iter().map(|document| document.id.clone()).collect(),
    };
    let calls = answer.tool_calls.iter();
    let calls = calls.map(|call| metric::Call { name: call.name.clone(), arguments: call.arguments.clone() });
    metric::Answer {
        text: answer.text.clone(),
        calls: calls.collect(),
        refusal: answer.refusal.clone(),
        finish_reason: answer.finish_reason.clone(),
        latency_ms: took.latency_us.map(|us| us as f64 / 1000.0),
        cost_dollars: took.cost_nanos.map(|nanos| nanos as f64 / 1e9),
        ranking,
        ..metric::Answer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(metric: &str, value: Value, not: bool) -> Check {
        Check { not, ..Check::of(metric, value) }
    }

    #[track_caller]
    fn check_score(checks: Vec<Check>, text: &str, expected: Option<f64>) {
        let case = Case { checks, ..Case::asking("a", "Q?", ["yes".into()]) };
        let scorer = Scorer::of(&[Spec { name: CHECKS.to_owned(), settings: Value::Null }]).unwrap();
        let answer = Answer { text: text.to_owned(), ..Answer::default() };
        assert_eq!(scorer.score(&case, &answer)[0].1.as_value(), expected);
    }

    #[test]
    fn a_case_passes_when_all_that_it_asks_holds() {
        let both = || vec![check("contains", "72".into(), false), check("contains", "sorry".into(), true)];
        check_score(both(), "72 hours", Some(1.0));
        check_score(both(), "sorry, 72 hours", Some(0.0));
        check_score(both(), "three days", Some(0.0));
        check_score(vec![check("regex", "^[0-9]+$".into(), false)], "72", Some(1.0));
        check_score(vec![check("exact_match", Value::Null, false)], "yes", Some(1.0));
        check_score(Vec::new(), "yes", None);
    }

    #[test]
    fn a_check_has_the_settings_of_its_metric() {
        let with = |metric: &str, value, settings: Value| {
            let settings = settings.as_object().unwrap().clone();
            vec![Check { settings, ..Check::of(metric, value) }]
        };
        let path = || with("json_path", 7.into(), serde_json::json!({ "path": "$.items[*].id" }));
        check_score(path(), r#"{"items": [{"id": 7}]}"#, Some(1.0));
        check_score(path(), r#"{"items": [{"id": 8}]}"#, Some(0.0));
        let accuracy =
            || Check { threshold: Some(0.5), ..Check::of("field_accuracy", serde_json::json!({"a": 1, "b": 2})) };
        check_score(vec![accuracy()], r#"{"a": 1}"#, Some(1.0));
        check_score(vec![Check { threshold: Some(0.6), ..accuracy() }], r#"{"a": 1}"#, Some(0.0));
        let stemmed = |stemmed: bool| with("rouge_1", "he runs".into(), serde_json::json!({ "stemmed": stemmed }));
        check_score(stemmed(true), "he run", Some(1.0));
        check_score(stemmed(false), "he run", Some(0.0));
    }

    #[test]
    fn of_a_set_of_checks_a_part_is_enough_and_what_counts_for_nothing_decides_nothing() {
        let set = |threshold| {
            let checks = serde_json::json!([
                { "metric": "contains", "value": "a", "weight": 3.0 },
                { "metric": "contains", "value": "b" },
                { "metric": "contains", "value": "c", "weight": 0.0 },
            ]);
            vec![Check { threshold, ..Check::of(CHECKS, checks) }]
        };
        check_score(set(None), "ab", Some(1.0));
        check_score(set(None), "a", Some(0.0));
        check_score(set(Some(0.75)), "a", Some(1.0));
        check_score(set(Some(0.75)), "b", Some(0.0));
        let not = vec![Check { not: true, ..set(Some(0.75)).remove(0) }];
        check_score(not, "b", Some(1.0));
    }

    #[test]
    fn what_a_call_took_is_held_against_its_limit() {
        let limits = vec![
            Check { threshold: Some(200.0), ..Check::of("latency_ms", Value::Null) },
            Check { threshold: Some(0.01), ..Check::of("cost_dollars", Value::Null) },
        ];
        let case = Case { checks: limits, ..Case::asking("a", "Q?", []) };
        let scorer = Scorer::of(&[Spec { name: CHECKS.to_owned(), settings: Value::Null }]).unwrap();
        let score = |latency_us, cost_nanos| {
            let took = Took { latency_us: Some(latency_us), cost_nanos };
            scorer.score_call(&case, &Answer::default(), took)[0].1.as_value()
        };
        assert_eq!((score(200_000, Some(10_000_000)), score(200_001, Some(0))), (Some(1.0), Some(0.0)));
        assert_eq!(score(1, None), None);
        let unlimited = Case { checks: vec![Check::of("latency_ms", Value::Null)], ..Case::asking("a", "Q?", []) };
        assert!(Scorer::check_cases([&unlimited]).unwrap_err().1.to_string().contains("needs a `threshold`"));
    }

    #[test]
    fn two_metrics_of_one_name_are_told_apart_by_what_they_are_called() {
        let spec = |pattern: &str| Spec {
            name: "regex".to_owned(),
            settings: serde_json::json!({ "as": format!("has {pattern}"), "pattern": pattern }),
        };
        let scorer = Scorer::of(&[spec("a"), spec("b")]).unwrap();
        let ids: Vec<_> = scorer.ids().map(|(name, id)| format!("{name} {id}")).collect();
        assert_eq!(ids, [r#"has a regex@rust-regex-1:"a""#, r#"has b regex@rust-regex-1:"b""#]);
    }

    #[test]
    fn expected_calls_reach_the_metric_in_every_form_and_what_cannot_be_read_is_never_nothing() {
        let scorer = Scorer::of(&[Spec { name: CALLS.to_owned(), settings: Value::Null }]).unwrap();
        let score = |calls: Value, id: Option<u64>| {
            let mut case = Case::asking("a", "Q?", [serde_json::json!({ "tool_calls": calls })]);
            let parameters = serde_json::json!({ "type": "object", "properties": { "id": { "type": "integer" } } });
            let tool =
                serde_json::json!({ "type": "function", "function": { "name": "look", "parameters": parameters } });
            case.request.insert("tools".to_owned(), serde_json::json!([tool]));
            let call =
                id.map(|id| crate::case::ToolCall { name: "look".to_owned(), arguments: format!("{{\"id\":{id}}}") });
            let answer = Answer { tool_calls: call.into_iter().collect(), text: "-".to_owned(), ..Answer::default() };
            scorer.score(&case, &answer)[0].1.as_value()
        };
        let forms = [
            serde_json::json!([{ "name": "look", "arguments": { "id": 1 } }]),
            serde_json::json!([{ "type": "function", "function": { "name": "look", "arguments": "{\"id\":1}" } }]),
            serde_json::json!([{ "look": { "id": [1] } }]),
        ];
        for form in forms {
            let scores = [Some(1), Some(2), None].map(|id| score(form.clone(), id));
            assert_eq!(scores, [Some(1.0), Some(0.0), Some(0.0)], "{form}");
        }
        for unread in [serde_json::json!([{ "tool": "look" }]), serde_json::json!({ "look": {} }), Value::Null] {
            assert_eq!([Some(1), None].map(|id| score(unread.clone(), id)), [None, None], "{unread}");
        }
        assert_eq!([Some(1), None].map(|id| score(serde_json::json!([]), id)), [Some(0.0), Some(1.0)]);
    }

    #[test]
    fn any_expected_value_will_do() {
        let scorer = Scorer::of(&[Spec { name: "field_accuracy".to_owned(), settings: Value::Null }]).unwrap();
        let case = Case::asking("a", "Q?", [serde_json::json!({ "a": 1 }), serde_json::json!({ "a": 2 })]);
        let answer = Answer { text: r#"{"a": 2}"#.to_owned(), ..Answer::default() };
        assert_eq!(scorer.score(&case, &answer)[0].1.as_value(), Some(1.0));
    }

    #[test]
    fn checks_of_no_known_metric_are_named_with_their_case() {
        let case = Case { checks: vec![check("contians", "x".into(), false)], ..Case::asking("a", "Q?", []) };
        let (id, error) = Scorer::check_cases([&case]).unwrap_err();
        assert_eq!(id, "a");
        assert!(error.to_string().contains("`contains`"), "{error}");
    }
}
