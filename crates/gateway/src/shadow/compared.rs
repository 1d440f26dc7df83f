//! Both answers of a pair, held against each other: on the shadow's thread, when both have ended.

use rollout::comparison::millionths;
use rollout::{Compared, Comparison};
use wire::record::{ComparisonRecord, PairRecord, Record};

use super::apart::{Apart, Ignore, Side, compare};
use super::judged::{self, Judged};
use super::meaning;
use super::settings::Meaning;
use super::strip::is_teacher_forced;
use super::{Heard, Offer, Shadow};

/// Waits for the baseline's answer, compares, writes down what was found and counts it.
pub(super) async fn settle(
    shadow: &Shadow,
    offer: &Offer,
    (candidate, again): (&Heard, Option<&Heard>),
    altered: bool,
) {
    let Some(baseline) = offer.pair.baseline().await else { return };
    let settings = shadow.settings(&offer.live.identity.name);
    let ignore = Ignore::of(settings.as_ref().map_or(&[], |settings| &settings.ignore));
    let (one, other) = (Side::of(&baseline), Side::of(candidate));
    let mut apart = compare(&one, &other, &ignore);
    let second = again.map(Side::of);
    let mut noise = second.as_ref().map(|second| compare(&one, second, &ignore));
    if let Some(meaning) = settings.as_ref().and_then(|settings| settings.meaning.as_ref()).filter(|_| !altered) {
        let sides = (&one, &other, second.as_ref());
        meanings(shadow, offer, meaning, sides, (&mut apart, noise.as_mut())).await;
    }
    // What was another request says nothing of this one.
    let judging = settings.as_ref().and_then(|settings| settings.judged.as_ref()).filter(|_| !altered);
    let judged = match judging {
        Some(judging) => Box::pin(judged::judge(shadow, offer, judging, (&one, &other, second.as_ref()))).await,
        None => None,
    };
    let not_judged = judged.as_ref().and_then(Judged::undecided);
    let judgement = judged.as_ref().and_then(|judged| judged.found.as_ref().ok());
    let deferred = offer.offered.is_none();
    let mut comparisons = joined(&apart, noise.as_ref());
    if let Some(judgement) = judgement {
        let (distance, noise, detail) = (judgement.distance, judgement.noise, Some(judgement.detail.clone()));
        comparisons.push(Row { kind: Comparison::Judged, distance, noise, detail });
    }
    let pair = PairRecord {
        drawn: offer.drawn_record(offer.arrival.unix_us),
        at_us: crate::live::now().0,
        deferred,
        altered,
        teacher_forced: is_teacher_forced(&offer.request),
        not_compared: match (apart.not_compared, not_judged) {
            (Some(why), _) => Some(why.to_owned()),
            (None, Some(why)) => Some(format!("not judged: {why}")),
            (None, None) => None,
        },
        comparisons: comparisons.iter().map(Row::record).collect(),
    };
    let compared = Compared {
        probability: offer.drawn.probability,
        altered,
        deferred,
        teacher_forced: pair.teacher_forced,
        distances: comparisons
            .iter()
            .map(|row| (row.kind, millionths(row.distance), row.noise.map(millionths)))
            .collect(),
        inter_token_us: candidate.gaps_us.clone(),
        duplicate_inter_token_us: again.map(|again| again.gaps_us.clone()).unwrap_or_default(),
        not_judged: not_judged.map(Into::into),
        asked: judged.as_ref().and_then(|judged| judged.asked),
    };
    shadow.write(&Record::Pair(pair));
    offer.live.observe_comparison(offer.epoch, compared);
    if let Some(judgement) = judgement.filter(|judgement| judgement.decides) {
        offer.live.observe_judged(offer.epoch, judged::evidence(offer, judgement), offer.id);
    }
}

/// Adds how far the meanings are apart, where both say something in words.
async fn meanings(
    shadow: &Shadow,
    offer: &Offer,
    meaning: &Meaning,
    (one, other, second): (&Side, &Side, Option<&Side>),
    (apart, noise): (&mut Apart, Option<&mut Apart>),
) {
    let (Some(own), Some(theirs)) = (one.prose(), other.prose()) else { return };
    let again = second.and_then(Side::prose);
    let texts: Vec<&str> = [own, theirs].into_iter().chain(again).collect();
    match Box::pin(meaning::distances(shadow, offer, meaning, &texts)).await {
        Some(Ok(distances)) => {
            let mut distances = distances.into_iter();
            if let Some(distance) = distances.next() {
                apart.distances.insert(Comparison::Meaning, (distance, None));
            }
            if let (Some(distance), Some(noise)) = (distances.next(), noise) {
                noise.distances.insert(Comparison::Meaning, (distance, None));
            }
        }
        Some(Err(why)) => apart.not_compared = Some(why),
        None => {}
    }
}

/// One kind of distance, with the baseline's own.
struct Row {
    kind: Comparison,
    distance: f64,
    noise: Option<f64>,
    detail: Option<String>,
}

impl Row {
    fn record(&self) -> ComparisonRecord {
        let Self { kind, distance, noise, detail } = self;
        ComparisonRecord { kind: kind.as_str().to_owned(), distance: *distance, noise: *noise, detail: detail.clone() }
    }
}

/// Every kind that either comparison has. Where both answered, a kind that one of them has not is no distance in it: neither said
/// anything of the kind. Otherwise it is not known.
fn joined(apart: &Apart, noise: Option<&Apart>) -> Vec<Row> {
    let known = |apart: &Apart, kind| match apart.distances.get(&kind) {
        Some((distance, _)) => Some(*distance),
        // Meanings that were not asked for are not the same meaning.
        None => (apart.both_answered && kind != Comparison::Meaning).then_some(0.0),
    };
    let has = |apart: &Apart, kind| apart.distances.contains_key(&kind);
    let row = |kind| {
        // Two embeddings are either both made or say nothing.
        if !has(apart, kind) && !noise.is_some_and(|noise| has(noise, kind)) {
            return None;
        }
        let distance = known(apart, kind)?;
        let detail = apart.distances.get(&kind).and_then(|(_, detail)| detail.clone());
        Some(Row { kind, distance, noise: noise.and_then(|noise| known(noise, kind)), detail })
    };
    Comparison::ALL.into_iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(both_answered: bool, distances: &[(Comparison, f64)]) -> Apart {
        let distances = distances.iter().map(|(kind, distance)| (*kind, (*distance, None))).collect();
        Apart { distances, both_answered, not_compared: None }
    }

    fn check(candidate: &Apart, noise: Option<&Apart>) -> Vec<(Comparison, f64, Option<f64>)> {
        joined(candidate, noise).iter().map(|row| (row.kind, row.distance, row.noise)).collect()
    }

    #[test]
    fn a_call_that_only_the_baseline_makes_the_second_time_is_noise_without_distance() {
        let candidate = apart(true, &[(Comparison::Outcome, 0.0)]);
        let noise = apart(true, &[(Comparison::Outcome, 0.0), (Comparison::ToolCalls, 1.0)]);
        assert_eq!(
            check(&candidate, Some(&noise)),
            [(Comparison::Outcome, 0.0, Some(0.0)), (Comparison::ToolCalls, 0.0, Some(1.0))]
        );
    }

    #[test]
    fn a_second_answer_that_failed_says_nothing_of_what_it_would_have_said() {
        let candidate = apart(true, &[(Comparison::Outcome, 0.0), (Comparison::Json, 0.5)]);
        let noise = apart(false, &[(Comparison::Outcome, 1.0)]);
        assert_eq!(
            check(&candidate, Some(&noise)),
            [(Comparison::Outcome, 0.0, Some(1.0)), (Comparison::Json, 0.5, None)]
        );
        assert_eq!(check(&candidate, None)[1], (Comparison::Json, 0.5, None));
    }
}
