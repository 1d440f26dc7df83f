//! What an answer took and how it ended: known of the call, not of the text.

use super::{Answer, Case, Metric, Range, Score, Unscored};

/// From 0 on.
const UNBOUNDED: Range = Range { low: 0.0, high: f64::INFINITY };

/// `latency_ms`.
pub(super) fn latency() -> Metric {
    let definition = "milliseconds from the call to the last byte, of the attempt that answered; less is better";
    spent("latency_ms@crossfade-1", definition, |answer| answer.latency_ms)
}

/// `cost_dollars`.
pub(super) fn cost() -> Metric {
    let definition = "what all attempts cost, in dollars, by the prices of the config; less is better";
    spent("cost_dollars@crossfade-1", definition, |answer| answer.cost_dollars)
}

fn spent(id: &str, definition: &'static str, of: fn(&Answer) -> Option<f64>) -> Metric {
    Metric::new(id, definition, move |_: &Case, answer| {
        of(answer).map_or(Score::unscored(Unscored::NotKnown), Score::value)
    })
    .lower_is_better()
    .within(UNBOUNDED)
}

/// `finish_reason`.
pub(super) fn finish_reason() -> Metric {
    let definition = "1 when the provider says one of the references as the reason why the answer ended, else 0";
    Metric::new("finish_reason@crossfade-1", definition, |case: &Case, answer| match &answer.finish_reason {
        _ if case.references.is_empty() => Score::unscored(Unscored::NoReference),
        None => Score::unscored(Unscored::NotKnown),
        Some(reason) => Score::is(case.references.contains(reason)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_a_call_has_no_value() {
        let answer = Answer { latency_ms: Some(12.5), finish_reason: Some("length".into()), ..Answer::default() };
        let case = Case { references: vec!["stop".into(), "length".into()], ..Case::default() };
        assert_eq!(latency().score(&case, &answer).as_value(), Some(12.5));
        assert_eq!(cost().score(&case, &answer), Score::unscored(Unscored::NotKnown));
        assert_eq!(finish_reason().score(&case, &answer).as_value(), Some(1.0));
        assert_eq!(finish_reason().score(&case, &Answer::default()), Score::unscored(Unscored::NotKnown));
    }
}
