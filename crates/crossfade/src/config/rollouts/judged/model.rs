//! `stages.shadow.judged.judge`: the model that judges pairs. It is written like a judge of a suite, and what it may use like the shadow's budget.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eval::case::{Answer, ToolCall};
use eval::judge::live::{Found, LiveJudge, Round};
use eval::judge::{Floor, Judge, Kind, NoVerdict, Scale};
use eval::run::PlannedTarget;
use gateway::shadow::{Agreement, ByModel, ModelJudge, Ruling, ShadowBudget, Spoken, Trusted, Worth};
use rollout::Asked;
use store::Database;
use wire::request::without_model;

use super::super::shadow::dollars;
use crate::config::judges::{floor, rules};
use crate::config::reader::{Item, Section};
use crate::config::targets::Targets;

/// Pairs that a judge is asked about at once when nobody says.
const IN_FLIGHT: usize = 8;
/// How long one of its answers may take when nobody says.
const TIMEOUT: Duration = Duration::from_secs(30);

/// `judge: { target: judge, kind: pairwise, criteria: "...", repeats: 1, agreement: { runs: [pilot] }, budget: { usd_per_day: 5 }, timeout: 30s }`.
pub(super) fn read(item: &Item<'_>, targets: &Targets) -> Option<ByModel> {
    let section = item.section()?;
    let target = section.need("target").and_then(|item| targets.reference(&item));
    let rules = rules(&section);
    let (floor, untested) = match section.get("agreement") {
        None => (Floor::default(), false),
        Some(item) if item.is_map() => (floor(&item), false),
        Some(item) => {
            if item.boolean() != Some(false) {
                let hint = "with `false` its word decides though nobody knows how far it agrees with people";
                item.note("`agreement` says how well and on which runs, or is `false`", Some(hint.into()));
            }
            (Floor::default(), true)
        }
    };
    let threshold = rules.as_ref().and_then(|rules| threshold(item, &section, rules.kind));
    let (budget, calls_per_day) = budget(&section);
    let timeout = section.get("timeout").and_then(|item| item.duration()).unwrap_or(TIMEOUT);
    section.finish();
    let (written, rules, threshold) = (target?, rules?, threshold?);
    let target = targets.get(&written.value)?;
    let planned = PlannedTarget {
        name: target.name.clone(),
        fingerprint: target.fingerprint.clone(),
        provider: target.provider.name.clone(),
        model: target.model.clone(),
        simulated: target.provider.is_simulated(),
    };
    let judge = LiveJudge::new(Judge { name: "judged".to_owned(), target: planned, rules, floor }, threshold);
    Some(ByModel { judge: Arc::new(Model { judge, untested }), target: written.value, budget, calls_per_day, timeout })
}

/// The grade from which an answer is good; `None` where that is wrong.
fn threshold(judge: &Item<'_>, section: &Section<'_>, kind: Kind) -> Option<f64> {
    let written = section.get("threshold");
    match (kind, written) {
        (Kind::Pairwise, Some(item)) => {
            item.note("a pairwise judge gives no grade: the answer that loses in both orders is bad", None);
            None
        }
        (Kind::Pairwise, None) => Some(0.0),
        (Kind::Rubric(scale), Some(item)) => item.number(scale.range().low, scale.range().high),
        (Kind::Rubric(Scale::PassFail), None) => Some(1.0),
        (Kind::Rubric(Scale::Points(_, high)), None) => {
            let hint = format!("`threshold: {}`: the mean over the criteria that is enough", high.saturating_sub(1));
            judge.note("nothing says from which grade on an answer is good", Some(hint));
            None
        }
    }
}

/// `budget: { usd_per_day: 5, tokens_per_day: 1_000_000, calls_per_day: 10_000, per_second: 5, in_flight: 8 }`.
fn budget(section: &Section<'_>) -> (ShadowBudget, Option<u64>) {
    let section = section.section("budget");
    let in_flight = section.get("in_flight").and_then(|item| item.count(1, 1 << 16));
    let budget = ShadowBudget {
        nanos_per_day: dollars(&section),
        tokens_per_day: section.get("tokens_per_day").and_then(|item| item.count(1, u64::MAX)),
        per_second: section.get("per_second").and_then(|item| item.number(0.001, 1e9)),
        in_flight: Some(in_flight.and_then(|n| usize::try_from(n).ok()).unwrap_or(IN_FLIGHT)),
        max_bytes: None,
    };
    let calls_per_day = section.get("calls_per_day").and_then(|item| item.count(1, u64::MAX));
    section.finish();
    (budget, calls_per_day)
}

/// The judge as the shadow asks it.
#[derive(Debug)]
struct Model {
    judge: LiveJudge,
    untested: bool,
}

impl ModelJudge for Model {
    fn definition(&self) -> &str {
        self.judge.definition()
    }

    fn measure(&self) -> &str {
        self.judge.measure()
    }

    fn round<'j>(
        &'j self,
        request: &[u8],
        [baseline, candidate]: [&Spoken; 2],
        drawn: (&[String], bool),
    ) -> Result<Box<dyn gateway::shadow::Round + 'j>, &'static str> {
        let round = self.judge.round(request, [&answer(baseline), &answer(candidate)], drawn)?;
        Ok(Box::new(Asking(round)))
    }

    fn decides_untested(&self) -> bool {
        self.untested
    }

    fn trust(&self, database: &Database) -> Trusted {
        match self.judge.trust(database) {
            Ok(trust) => {
                let agreement = Agreement {
                    n_labelled: trust.n_labelled,
                    kappa: trust.kappa,
                    interval: trust.kappa_interval.map(|ends| (ends.low, ends.high)),
                    floor: trust.floor,
                    floor_labelled: trust.floor_labelled,
                };
                Trusted { trusted: trust.trusted, why: trust.why, agreement: Some(agreement) }
            }
            Err(error) => {
                let why = format!("what people said cannot be read: {error}");
                Trusted { trusted: false, why, agreement: None }
            }
        }
    }
}

struct Asking<'j>(Round<'j>);

impl gateway::shadow::Round for Asking<'_> {
    fn questions(&self) -> Vec<Bytes> {
        self.0.questions.iter().cloned().map(without_model).collect()
    }

    fn verdict(&self, said: &[Option<Bytes>]) -> Ruling {
        // A body that is no chat completion is an answer of the judge, and no verdict.
        let read = |body: &Bytes| eval::answer::read(body).unwrap_or_default();
        let said: Vec<Option<Answer>> = said.iter().map(|body| body.as_ref().map(read)).collect();
        let Found { worth, n_questions, n_unread, n_repeated, n_same, is_consistent } = self.0.verdict(&said);
        let asked = Asked {
            pairs: 1,
            questions: n_questions,
            unread: n_unread,
            repeated: n_repeated,
            same: n_same,
            both_orders: u64::from(is_consistent.is_some()),
            flipped: u64::from(is_consistent == Some(false)),
            untrusted: 0,
        };
        let one = |(bad, value): (bool, f64)| Worth { bad, values: vec![value] };
        Ruling { worth: worth.map(|both| both.map(one)).map_err(word), asked }
    }
}

/// Why there is no verdict, as the counter says it.
const fn word(why: NoVerdict) -> &'static str {
    match why {
        NoVerdict::NoAnswer => "judge_failed",
        NoVerdict::Leaked => "judge_leaked",
        NoVerdict::NoVerdict => "judge_no_verdict",
        NoVerdict::OutOfScale => "judge_out_of_scale",
    }
}

fn answer(spoken: &Spoken) -> Answer {
    let call = |(name, arguments): &(String, String)| ToolCall { name: name.clone(), arguments: arguments.clone() };
    Answer { text: spoken.text.clone(), tool_calls: spoken.calls.iter().map(call).collect(), ..Answer::default() }
}
