//! What both answers of a pair are worth by the checks of its rollout: on the shadow's thread, when both have ended, for a fraction of
//! pairs and no more of them in a second than the config says. What it finds is the metric `judged` of guards and gates.
//!
//! A check against the baseline's answer says how far somebody agrees with it, and the baseline itself agrees with its first answer
//! only so far. Where there is such a check the baseline's side of the pair is its second answer (`noise_duplicate`), held against the
//! first like the candidate's: of two equal targets neither is favoured. Without a second answer such a pair is not judged.
//!
//! What passes the checks a model may judge, too ([`super::ruling`]).

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use rollout::{Asked, JudgedPair, Timestamp};

use super::apart::Side;
use super::ruling::{self, ByModel, Ruling};
use super::settings::ShadowBudget;
use super::{Offer, Room, Shadow, draw};

/// What an answer says, whatever its dialect and whether it was streamed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spoken {
    /// Its text.
    pub text: String,
    /// The tools it calls, with their arguments as text.
    pub calls: Vec<(String, String)>,
    /// Why it ended, in the words of chat completions, where it says so.
    pub finish: Option<&'static str>,
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
    /// By checks; not at all without.
    pub judge: Option<Arc<dyn Judge>>,
    /// And by a model; not at all without.
    pub model: Option<ByModel>,
    /// Fraction of pairs, 0..1.
    pub sample: f64,
    /// Pairs in a second.
    pub per_second: Option<f64>,
    /// Bytes of an answer beyond which its pair is not judged.
    pub max_text: usize,
}

impl Judging {
    /// The id of what is judged by; what is judged by another one is other evidence.
    #[must_use]
    pub fn definition(&self) -> String {
        let checks = self.judge.as_ref().map(|judge| judge.definition().to_owned());
        let model = self.model.as_ref().map(|model| model.judge.definition().to_owned());
        checks.into_iter().chain(model).collect::<Vec<_>>().join(" and ")
    }

    fn needs_baseline(&self) -> bool {
        self.judge.as_ref().is_some_and(|judge| judge.needs_baseline())
    }
}

impl PartialEq for Judging {
    fn eq(&self, other: &Self) -> bool {
        let Self { judge: _, model, sample, per_second, max_text } = other;
        (self.sample, self.per_second, self.max_text) == (*sample, *per_second, *max_text)
            && self.model == *model
            && self.definition() == other.definition()
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
    /// Whether it is more than a note: what a model says that is not shown to agree with people is none.
    pub(super) decides: bool,
}

/// What came of a pair that was drawn to be judged.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) found: Result<Judgement, &'static str>,
    /// How it went with the model, where one was asked.
    pub(super) asked: Option<Asked>,
}

impl Judged {
    /// Why nothing of it decides.
    pub(super) fn undecided(&self) -> Option<&'static str> {
        match &self.found {
            Err(why) => Some(why),
            Ok(judgement) => (!judgement.decides).then_some("judge_not_trusted"),
        }
    }
}

/// Judges a pair, where it is drawn for that.
pub(super) async fn judge(
    shadow: &Shadow,
    offer: &Offer,
    judging: &Judging,
    sides: (&Side, &Side, Option<&Side>),
) -> Option<Judged> {
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
    let judged = match (found, &judging.model) {
        (Ok(found), Some(model)) => by_model(shadow, offer, (judging, model), (found, sides)).await,
        (found, _) => Judged { found, asked: None },
    };
    let counted = match judged.undecided() {
        Some(why) => Err(why),
        None => judged.found.as_ref().map(Judgement::as_str).map_err(|why| *why),
    };
    shadow.counters.pairs.count(&offer.live.identity.name, counted);
    Some(judged)
}

/// Adds what the model says to what the checks found.
async fn by_model(
    shadow: &Shadow,
    offer: &Offer,
    (judging, model): (&Judging, &ByModel),
    (found, (baseline, candidate, _)): (Judgement, (&Side, &Side, Option<&Side>)),
) -> Judged {
    let (baseline, candidate) = match (spoken(judging, baseline), spoken(judging, candidate)) {
        (Ok(baseline), Ok(candidate)) => (baseline, candidate),
        (Err(why), _) | (_, Err(why)) => return Judged { found: Err(why), asked: None },
    };
    let ruled = Box::pin(ruling::rule(shadow, offer, model, (&baseline, &candidate))).await;
    match ruled {
        Err(why) => Judged { found: Err(why), asked: None },
        Ok((Ruling { worth, asked }, decides)) => {
            Judged { found: worth.map(|worth| joined(judging, found, (&worth, decides))), asked: Some(asked) }
        }
    }
}

/// An answer is bad that the checks or the model find wanting.
fn joined(judging: &Judging, found: Judgement, ([baseline, candidate], decides): (&[Worth; 2], bool)) -> Judgement {
    let (baseline_bad, candidate_bad) = (found.baseline_bad || baseline.bad, found.candidate_bad || candidate.bad);
    // Held against the baseline's first answer, that one is in order, for the checks.
    let first_bad = if judging.needs_baseline() { baseline.bad } else { baseline_bad };
    let model = judging.model.as_ref().map_or_else(String::new, |model| {
        let metrics = [model.judge.measure().to_owned()];
        detail(model.judge.definition(), &metrics, (baseline, candidate))
    });
    let before = if found.detail.is_empty() { String::new() } else { format!("{}; ", found.detail) };
    let note = if decides { "" } else { "; not trusted, decides nothing" };
    Judgement {
        baseline_bad,
        candidate_bad,
        distance: differs(candidate_bad, first_bad),
        // The model is not asked about the baseline's second answer.
        noise: None,
        detail: format!("{before}{model}{note}"),
        decides,
    }
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

/// What an answer says, where it is not too long.
fn spoken(judging: &Judging, side: &Side) -> Result<Spoken, &'static str> {
    let spoken = side.said.as_ref().map_err(|why| *why)?.spoken();
    let n_bytes = spoken.text.len() + spoken.calls.iter().map(|(_, arguments)| arguments.len()).sum::<usize>();
    if n_bytes > judging.max_text { Err("too_long") } else { Ok(spoken) }
}

fn differs(one: bool, other: bool) -> f64 {
    f64::from(u8::from(one != other))
}

/// What the checks say; where there are none, that nothing is wrong so far.
fn weigh(
    judging: &Judging,
    request: &[u8],
    (baseline, candidate, again): (&Side, &Side, Option<&Side>),
) -> Result<Judgement, &'static str> {
    let (first, candidate) = (spoken(judging, baseline)?, spoken(judging, candidate)?);
    let drawn = if judging.sample < 1.0 { format!("drawn {}", short(judging.sample)) } else { String::new() };
    let Some(judge) = &judging.judge else {
        let (baseline_bad, candidate_bad, noise) = (false, false, None);
        return Ok(Judgement { baseline_bad, candidate_bad, distance: 0.0, noise, detail: drawn, decides: true });
    };
    // A second answer that failed says nothing of what it would have said.
    let second = again.map(|side| spoken(judging, side)).and_then(Result::ok);
    let by_baseline = judge.needs_baseline();
    let answers: Vec<Spoken> = match (by_baseline, second) {
        (true, None) => return Err("no_second_answer"),
        (true, Some(second)) => vec![second, candidate],
        (false, second) => [first.clone(), candidate].into_iter().chain(second).collect(),
    };
    let worth = judge.judge(request, &first, &answers)?;
    let [baseline, candidate, rest @ ..] = &worth[..] else { return Err("not_judged") };
    // By itself the first answer is in order: how far one is from it is what the checks found.
    let (distance, noise) = if by_baseline {
        (differs(candidate.bad, false), Some(differs(baseline.bad, false)))
    } else {
        (differs(candidate.bad, baseline.bad), rest.first().map(|second| differs(second.bad, baseline.bad)))
    };
    let (baseline_bad, candidate_bad) = (baseline.bad, candidate.bad);
    let mut detail = detail(judge.definition(), judge.metrics(), (baseline, candidate));
    if !drawn.is_empty() {
        detail += &format!("; {drawn}");
    }
    Ok(Judgement { baseline_bad, candidate_bad, distance, noise, detail, decides: true })
}

/// `checks@…: good / bad; squad_f1@… 1 / 0.25`.
fn detail(definition: &str, metrics: &[String], (baseline, candidate): (&Worth, &Worth)) -> String {
    let word = |worth: &Worth| if worth.bad { "bad" } else { "good" };
    let both = baseline.values.iter().zip(&candidate.values);
    let values = metrics.iter().zip(both);
    let values = values.map(|(metric, (own, theirs))| format!("; {metric} {} / {}", short(*own), short(*theirs)));
    format!("{definition}: {} / {}{}", word(baseline), word(candidate), values.collect::<String>())
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
        let judge: Option<Arc<dyn Judge>> = Some(Arc::new(Says { by_baseline, metrics: vec!["says".to_owned()] }));
        let judging = Judging { judge, model: None, sample: 1.0, per_second: None, max_text: 5 };
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
        let judge: Option<Arc<dyn Judge>> = Some(Arc::new(Says { by_baseline: false, metrics: Vec::new() }));
        let judging = Judging { judge, model: None, sample: 1.0, per_second: None, max_text: 5 };
        let failure = Some(wire::failure::FailureKind::Connect);
        let failed = Side::of(&Heard { failure, ..Heard::default() });
        assert_eq!(weigh(&judging, b"{}", (&side("a"), &failed, None)), Err("failed"));
    }
}
