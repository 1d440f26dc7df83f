//! What both answers of a pair are worth by the checks of its rollout: on the shadow's thread, when both have ended, for a fraction of
//! pairs and no more of them in a second than the config says. What it finds is the metric `judged` of guards and gates.
//!
//! A check against the baseline's answer says how far somebody agrees with it, and the baseline itself agrees with its first answer
//! only so far. Where there is such a check the baseline's side of the pair is its second answer (`noise_duplicate`), held against the
//! first like the candidate's: of two equal targets neither is favoured. Without a second answer such a pair is not judged.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use rollout::{JudgedPair, Timestamp};

use super::apart::Side;
use super::settings::ShadowBudget;
use super::{Offer, Room, Shadow, draw};

/// What an answer says, whatever its dialect and whether it was streamed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spoken {
    /// Its text.
    pub text: String,
    /// The tools it calls, with their arguments as text.
    pub calls: Vec<(String, String)>,
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Worth {
    /// It is found wanting.
    pub bad: bool,
    /// What each metric of the definition says.
    pub values: Vec<f64>,
}

/// Whoever says what answers are worth. It is asked on the shadow's thread and works only with what it is given: no clock, no socket, and
/// no more time than texts of [`Judging::max_text`] can take.
pub trait Judge: fmt::Debug + Send + Sync {
    /// The id of the definition; what is judged by another one is other evidence.
    fn definition(&self) -> &str;

    /// The metrics of the definition, in the order of [`Worth::values`].
    fn metrics(&self) -> &[String];

    /// Whether answers are held against the baseline's.
    fn needs_baseline(&self) -> bool;

    /// What each of the answers to a request is worth, held against the baseline's where that is needed.
    ///
    /// # Errors
    /// Why nothing can be said of them, as a word.
    fn judge(&self, request: &[u8], baseline: &Spoken, answers: &[Spoken]) -> Result<Vec<Worth>, &'static str>;
}

/// How the pairs of a rollout are judged.
#[derive(Debug, Clone)]
pub struct Judging {
    /// By whom.
    pub judge: Arc<dyn Judge>,
    /// Fraction of pairs, 0..1.
    pub sample: f64,
    /// Pairs in a second.
    pub per_second: Option<f64>,
    /// Bytes of an answer beyond which its pair is not judged.
    pub max_text: usize,
}

impl PartialEq for Judging {
    fn eq(&self, other: &Self) -> bool {
        let Self { judge, sample, per_second, max_text } = other;
        (self.sample, self.per_second, self.max_text) == (*sample, *per_second, *max_text)
            && self.judge.definition() == judge.definition()
    }
}

/// What was found of a pair.
#[derive(Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) baseline_bad: bool,
    pub(super) candidate_bad: bool,
    /// Whether the verdicts differ, and whether the baseline's own do.
    pub(super) distance: f64,
    pub(super) noise: Option<f64>,
    /// Definition, verdicts and values, without a word of the answers.
    pub(super) detail: String,
}

/// Judges a pair, where it is drawn for that.
pub(super) fn judge(
    shadow: &Shadow,
    offer: &Offer,
    judging: &Judging,
    sides: (&Side, &Side, Option<&Side>),
) -> Option<Result<Judgement, &'static str>> {
    if !draw::is_drawn(&offer.live.identity.salt, "judged", offer.id, judging.sample) {
        return None;
    }
    let budget = ShadowBudget { per_second: judging.per_second, ..ShadowBudget::default() };
    let (now, mut nothing) = ((Instant::now(), crate::live::now().0), Room::default());
    let begun = shadow.with_ledger(&format!("{} judged", offer.live.identity.name), |ledger| {
        let begun = ledger.begin(&budget, &mut nothing, now);
        if begun.is_ok() {
            ledger.end();
        }
        begun
    });
    let found = match begun {
        Ok(()) => weigh(judging, &offer.request.body, sides),
        Err(_) => Err("rate"),
    };
    let counted = found.as_ref().map(Judgement::as_str).map_err(|why| *why);
    shadow.counters.pairs.count(&offer.live.identity.name, counted);
    Some(found)
}

/// What guards and gates learn of it.
pub(super) fn evidence(offer: &Offer, judgement: &Judgement) -> JudgedPair {
    JudgedPair {
        unit: offer.unit,
        admitted_at: Timestamp(offer.arrival.unix_us),
        at: crate::live::now(),
        baseline_bad: judgement.baseline_bad,
        candidate_bad: judgement.candidate_bad,
        stratum: offer.stratum.name.clone().into(),
    }
}

fn weigh(
    judging: &Judging,
    request: &[u8],
    (baseline, candidate, again): (&Side, &Side, Option<&Side>),
) -> Result<Judgement, &'static str> {
    let spoken = |side: &Side| {
        let spoken = side.said.as_ref().map_err(|why| *why)?.spoken();
        let n_bytes = spoken.text.len() + spoken.calls.iter().map(|(_, arguments)| arguments.len()).sum::<usize>();
        if n_bytes > judging.max_text { Err("too_long") } else { Ok(spoken) }
    };
    let (first, candidate) = (spoken(baseline)?, spoken(candidate)?);
    // A second answer that failed says nothing of what it would have said.
    let second = again.map(spoken).and_then(Result::ok);
    let by_baseline = judging.judge.needs_baseline();
    let answers: Vec<Spoken> = match (by_baseline, second) {
        (true, None) => return Err("no_second_answer"),
        (true, Some(second)) => vec![second, candidate],
        (false, second) => [first.clone(), candidate].into_iter().chain(second).collect(),
    };
    let worth = judging.judge.judge(request, &first, &answers)?;
    let [baseline, candidate, rest @ ..] = &worth[..] else { return Err("not_judged") };
    let differs = |one: bool, other: bool| f64::from(u8::from(one != other));
    // By itself the first answer is in order: how far one is from it is what the checks found.
    let (distance, noise) = if by_baseline {
        (differs(candidate.bad, false), Some(differs(baseline.bad, false)))
    } else {
        (differs(candidate.bad, baseline.bad), rest.first().map(|second| differs(second.bad, baseline.bad)))
    };
    let (baseline_bad, candidate_bad) = (baseline.bad, candidate.bad);
    let detail = detail(judging.judge.as_ref(), baseline, candidate);
    Ok(Judgement { baseline_bad, candidate_bad, distance, noise, detail })
}

/// `checks@…: good / bad; squad_f1@… 1 / 0.25`.
fn detail(judge: &dyn Judge, baseline: &Worth, candidate: &Worth) -> String {
    let word = |worth: &Worth| if worth.bad { "bad" } else { "good" };
    let both = baseline.values.iter().zip(&candidate.values);
    let values = judge.metrics().iter().zip(both);
    let values = values.map(|(metric, (own, theirs))| format!("; {metric} {} / {}", short(*own), short(*theirs)));
    format!("{}: {} / {}{}", judge.definition(), word(baseline), word(candidate), values.collect::<String>())
}

/// Four places at most.
fn short(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl Judgement {
    /// The word of the counter.
    const fn as_str(&self) -> &'static str {
        match (self.baseline_bad, self.candidate_bad) {
            (false, false) => "both_good",
            (true, false) => "baseline_bad",
            (false, true) => "candidate_bad",
            (true, true) => "both_bad",
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::Heard;
    use super::*;

    /// An answer is bad that differs from the baseline's, or that says no.
    #[derive(Debug)]
    struct Says {
        by_baseline: bool,
        metrics: Vec<String>,
    }

    impl Judge for Says {
        fn definition(&self) -> &str {
            "says@1"
        }

        fn metrics(&self) -> &[String] {
            &self.metrics
        }

        fn needs_baseline(&self) -> bool {
            self.by_baseline
        }

        fn judge(&self, _: &[u8], baseline: &Spoken, answers: &[Spoken]) -> Result<Vec<Worth>, &'static str> {
            let bad = |answer: &Spoken| if self.by_baseline { answer != baseline } else { answer.text == "no" };
            let worth = |answer| Worth { bad: bad(answer), values: vec![f64::from(u8::from(!bad(answer))) / 3.0] };
            Ok(answers.iter().map(worth).collect())
        }
    }

    fn side(text: &str) -> Side {
        let body = serde_json::json!({ "choices": [{ "message": { "content": text }, "finish_reason": "stop" }] });
        let answer = Bytes::from(body.to_string());
        Side::of(&Heard { n_bytes: answer.len() as u64, answer, ..Heard::default() })
    }

    fn found(by_baseline: bool, [first, candidate]: [&str; 2], again: Option<&str>) -> Result<Judgement, &'static str> {
        let judge = Arc::new(Says { by_baseline, metrics: vec!["says".to_owned()] });
        let judging = Judging { judge, sample: 1.0, per_second: None, max_text: 5 };
        let again = again.map(side);
        weigh(&judging, b"{}", (&side(first), &side(candidate), again.as_ref()))
    }

    #[track_caller]
    fn check(found: Result<Judgement, &'static str>, bad: [bool; 2], noise: Option<f64>, detail: &str) {
        let found = found.unwrap();
        assert_eq!([found.baseline_bad, found.candidate_bad], bad);
        assert_eq!((found.noise, found.detail.as_str()), (noise, detail));
    }

    #[test]
    fn an_answer_alone_is_worth_what_it_says_and_the_second_one_shows_the_noise() {
        check(found(false, ["yes", "no"], None), [false, true], None, "says@1: good / bad; says 0.3333 / 0");
        let noisy = found(false, ["yes", "no"], Some("no"));
        check(noisy, [false, true], Some(1.0), "says@1: good / bad; says 0.3333 / 0");
    }

    #[test]
    fn agreement_is_compared_with_the_baselines_own_on_its_second_answer() {
        check(found(true, ["a", "b"], Some("a")), [false, true], Some(0.0), "says@1: good / bad; says 0.3333 / 0");
        check(found(true, ["a", "a"], Some("b")), [true, false], Some(1.0), "says@1: bad / good; says 0 / 0.3333");
        assert_eq!(found(true, ["a", "a"], None), Err("no_second_answer"));
    }

    #[test]
    fn what_is_too_long_or_failed_is_not_judged() {
        assert_eq!(found(false, ["yes", "longer"], None), Err("too_long"));
        let judge = Arc::new(Says { by_baseline: false, metrics: Vec::new() });
        let judging = Judging { judge, sample: 1.0, per_second: None, max_text: 5 };
        let failure = Some(wire::failure::FailureKind::Connect);
        let failed = Side::of(&Heard { failure, ..Heard::default() });
        assert_eq!(weigh(&judging, b"{}", (&side("a"), &failed, None)), Err("failed"));
    }
}
