//! The rules, as data: they are printed in every report, and the first whose conditions all hold decides.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::decision::Decision;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// What reports call it.
    pub id: &'static str,
    /// What has to hold: a fact, and the values it may have.
    pub when: Vec<(&'static str, Vec<&'static str>)>,
    /// What follows.
    pub then: Decision,
    /// Why, in a sentence.
    pub says: &'static str,
}

/// Facts by their names, as [`rules`] ask for them.
pub(crate) type Facts = BTreeMap<&'static str, String>;

/// The rules in their order.
///
/// Facts are `candidate` (`named`, `none`); each area with its standing, `optional` where the scorecard does not require it; `all` and
/// `all_but_quality`, `all_but_throughput`: `pass` where every other required area is one, else `open`; `rollout` (`taken_back`; `resumed`: taken back before, and not changed since; `other`);
/// `newest` calls of a candidate whose users no guard watches (`failing`, also where its breaker is open; `other`);
/// `good_parts`, `worse_parts` and `refused` (`some`, `none`).
#[must_use]
pub fn rules() -> Vec<Rule> {
    let mut rules = vec![
        rule(
            "H1",
            &[("quality", &["fail"]), ("good_parts", &["some"]), ("all_but_quality", &["pass"])],
            Decision::Hybridize,
            "Quality fails over all cases but is proven in some parts: these go to the candidate, the rest stays.",
        ),
        rule(
            "Q1",
            &[("quality", &["fail"])],
            Decision::Stay,
            "The candidate is proven worse than is allowed on our own tasks.",
        ),
        rule(
            "T1",
            &[("tco", &["fail"])],
            Decision::Stay,
            "The saving that is wanted is missed with the certainty that is wanted.",
        ),
        rule(
            "L1",
            &[("latency", &["fail"])],
            Decision::Stay,
            "Answers are proven slower than is allowed, or too many calls get none.",
        ),
        rule(
            "H2",
            &[("throughput", &["fail"]), ("all_but_throughput", &["pass"])],
            Decision::Hybridize,
            "The candidate does not hold the whole peak: it takes the share that it holds, the rest stays.",
        ),
        rule(
            "C1",
            &[("throughput", &["fail"])],
            Decision::Stay,
            "The candidate does not hold the peak, and not everything else is proven.",
        ),
        rule(
            "R1",
            &[("rollout", &["resumed"])],
            Decision::NotEnoughEvidence,
            "The rollout's guards took the candidate back, and it was begun again with the same model, prompt and parameters (a repair of its server is not seen here): its rollout has to complete first.",
        ),
        rule(
            "H3",
            &[("all", &["pass"]), ("worse_parts", &["some"])],
            Decision::Hybridize,
            "Everything required is proven, but the candidate is worse beyond chance in some parts: these stay.",
        ),
        rule(
            "H4",
            &[("all", &["pass"]), ("refused", &["some"])],
            Decision::Hybridize,
            "Everything required is proven, but the candidate's server refuses some requests for what they ask of it: these stay.",
        ),
        rule("A1", &[("all", &["pass"])], Decision::Switch, "Everything that the scorecard requires is proven."),
        rule(
            "U1",
            &[],
            Decision::NotEnoughEvidence,
            "Something that the scorecard requires is undecided or was not run, or it requires nothing, and nothing proven says no.",
        ),
    ];
    rules.splice(0..0, first());
    rules
}

/// Those that no figure of the scorecard is asked for.
fn first() -> Vec<Rule> {
    vec![
        rule(
            "N1",
            &[("candidate", &["none"])],
            Decision::NotEnoughEvidence,
            "No candidate is named: there is nothing to compare with.",
        ),
        rule("S1", &[("safety", &["fail"])], Decision::Stay, "A critical failure of safety is on record."),
        rule(
            "S2",
            &[("rollout", &["taken_back"])],
            Decision::Stay,
            "The rollout's guards took the candidate back, and its model, prompt and parameters have not changed since.",
        ),
        rule(
            "S3",
            &[("newest", &["failing"])],
            Decision::Stay,
            "Of the candidate's newest calls more than one in twenty fail, which is not by chance, or its breaker is open; no guard takes users back, as it has none by a rollout.",
        ),
    ]
}

fn rule(id: &'static str, when: &[(&'static str, &[&'static str])], then: Decision, says: &'static str) -> Rule {
    let when = when.iter().map(|(fact, values)| (*fact, values.to_vec())).collect();
    Rule { id, when, then, says }
}

/// The first rule that holds. The last one has no condition.
pub(crate) fn decide<'r>(rules: &'r [Rule], facts: &Facts) -> Option<&'r Rule> {
    let holds =
        |(fact, values): &(&str, Vec<&str>)| facts.get(fact).is_some_and(|is| values.iter().any(|value| value == is));
    rules.iter().find(|rule| rule.when.iter().all(holds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(changes: &[(&'static str, &str)]) -> Facts {
        let usual = [
            ("candidate", "named"),
            ("quality", "pass"),
            ("latency", "pass"),
            ("throughput", "pass"),
            ("safety", "pass"),
            ("tco", "pass"),
            ("all", "pass"),
            ("all_but_quality", "pass"),
            ("all_but_throughput", "pass"),
            ("rollout", "other"),
            ("newest", "other"),
            ("good_parts", "none"),
            ("worse_parts", "none"),
            ("refused", "none"),
        ];
        usual.iter().chain(changes).map(|(fact, value)| (*fact, (*value).to_owned())).collect()
    }

    #[track_caller]
    fn check(changes: &[(&'static str, &str)], expected: &str) {
        let rules = rules();
        assert_eq!(decide(&rules, &facts(changes)).map(|rule| rule.id), Some(expected), "{changes:?}");
    }

    #[test]
    fn the_first_rule_that_holds_decides() {
        check(&[], "A1");
        check(&[("candidate", "none"), ("safety", "fail")], "N1");
        check(&[("safety", "fail"), ("quality", "fail")], "S1");
        check(&[("rollout", "taken_back")], "S2");
        check(&[("newest", "failing")], "S3");
        check(&[("rollout", "resumed")], "R1");
        check(&[("rollout", "resumed"), ("latency", "fail"), ("all", "open")], "L1");
        check(&[("quality", "fail"), ("all", "open")], "Q1");
        check(&[("quality", "fail"), ("all", "open"), ("good_parts", "some")], "H1");
        check(&[("quality", "fail"), ("all", "open"), ("all_but_quality", "open"), ("good_parts", "some")], "Q1");
        check(&[("throughput", "fail"), ("all", "open")], "H2");
        check(&[("throughput", "fail"), ("all", "open"), ("all_but_throughput", "open")], "C1");
        check(&[("worse_parts", "some")], "H3");
        check(&[("refused", "some")], "H4");
        check(&[("quality", "undecided"), ("all", "open"), ("tco", "fail")], "T1");
    }

    #[test]
    fn what_is_undecided_or_not_run_never_switches() {
        for area in ["quality", "latency", "throughput", "safety", "tco"] {
            for standing in ["undecided", "not_run"] {
                let all: &[(&'static str, &str)] =
                    &[(area, standing), ("all", "open"), ("all_but_quality", "open"), ("all_but_throughput", "open")];
                check(all, "U1");
            }
        }
    }

    #[test]
    fn every_rule_but_the_last_has_conditions_and_ids_are_their_own() {
        let rules = rules();
        let ids: std::collections::BTreeSet<_> = rules.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), rules.len());
        assert!(rules.last().is_some_and(|rule| rule.when.is_empty()));
        assert_eq!(rules.iter().filter(|rule| rule.when.is_empty()).count(), 1);
    }
}
