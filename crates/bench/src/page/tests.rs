use std::time::Duration;

use super::*;
use crate::measure::{Gaps, Measured, level};
use crate::result::{Load, TargetFacts};
use crate::sample::{Outcome, Sample, TokenSource};
use crate::slo::Slo;

/// A result with two levels of one target.
pub(crate) fn example() -> BenchResult {
    let slo = Slo { ttft_ms: Some(500.0), e2e_ms: Some(2500.0), tpot_ms: None, gap_max_ms: None, share: 0.95 };
    let mut result = BenchResult::new("night & day", "load", 1);
    result.slo = Some(slo);
    result.targets =
        vec![TargetFacts { name: "<gpu>".into(), model: "m".into(), url: "http://x".into(), ..TargetFacts::default() }];
    for per_s in [2.0, 4.0] {
        let ms = |n: f64| Duration::from_micros(crate::clock::whole(n * 1e3));
        let sample = |idx: u32| {
            let at = ms(f64::from(idx) * 1000.0 / per_s);
            let mut sample = Sample::begun(0, 0, (at, at));
            sample.sent = Some(at);
            sample.first = Some(at + ms(50.0 * per_s + f64::from(idx % 7)));
            sample.last = Some(at + ms(300.0 * per_s));
            sample.ended = at + ms(300.0 * per_s);
            (sample.n_chunks, sample.output, sample.outcome) = (8, Some((8, TokenSource::Usage)), Outcome::Good);
            sample
        };
        let samples: Vec<Sample> = (0..100).map(sample).collect();
        let measured = Measured {
            target: "<gpu>",
            load: Load::Rate { per_s },
            window: (Duration::ZERO, Duration::from_secs(60)),
            active_s: 60.0,
            samples: samples.iter().collect(),
            earlier: Vec::new(),
            beats: &[],
            gaps: &Gaps::new(),
            network_ms: None,
        };
        result.levels.push(level(&measured, Some(&slo)));
    }
    result
}

#[test]
fn a_page_needs_nothing_else_and_says_what_it_does_not_know() {
    let page = html(&example());
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(page.contains("<b>pass</b>") && page.contains("unknown"), "{page}");
    assert!(page.contains("night &amp; day") && page.contains("&lt;gpu&gt;") && !page.contains("<gpu>"));
    assert!(page.contains("Content-Security-Policy") && !page.contains("src=") && !page.contains("<script"));
    // Every id that a figure bears is explained.
    assert!(SHOWN.iter().all(|(id, _)| page.contains(&format!("<tr><td>{id}<td>"))));
}

#[test]
fn a_gateways_part_is_what_the_way_through_it_takes_longer() {
    let mut result = example();
    let mut through = result.clone();
    through.targets[0].name = "via".into();
    for level in &mut through.levels {
        "via".clone_into(&mut level.target);
        level.budget.queue_ms = Some(9.0);
        let p50 = level.latency.get_mut(definition::TTFT_SENT).unwrap().quantiles.get_mut("p50").unwrap();
        p50.value = p50.value.map(|ms| ms + 2.5);
    }
    result.targets.extend(through.targets);
    result.levels.extend(through.levels);
    result.gateway_part("via");
    assert_eq!(result.levels[0].budget.gateway_ms, None);
    let budget = result.levels[3].budget;
    assert!((budget.gateway_ms.unwrap() - 2.5).abs() < 1e-9 && budget.queue_ms == Some(6.5), "{budget:?}");
    assert!(html(&result).contains("<td class=\"n\">2.50"));
}

#[test]
fn a_page_of_failures_alone_draws_nothing_and_says_what_went_wrong() {
    let mut result = example();
    for level in &mut result.levels {
        (level.n_good, level.latency, level.shares) = (0, Default::default(), Default::default());
        (level.out_tok_s, level.errors) = (None, [("http_5xx".to_owned(), 100)].into());
    }
    let page = html(&result);
    assert!(!page.contains("<svg") && !page.contains("<h2>Curves") && page.contains("http_5xx 100"), "{page}");
}

#[test]
fn no_evidence_is_said_before_anything_else() {
    let mut result = example();
    result.invalidate("the client lagged".to_owned());
    result.simulated = true;
    let page = html(&result);
    let at = |words: &str| page.find(words).unwrap_or(usize::MAX);
    assert!(
        at("INVALID") < at("<h2>") && at("the client lagged") < at("<h2>") && at("simulated provider") < at("<h2>")
    );
    assert!(page.contains("<b>undecided</b>"));
    assert_eq!(BenchResult::parse(&serde_json::to_string(&result).unwrap()).unwrap(), result);
}
