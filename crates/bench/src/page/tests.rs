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
    assert!(!page.contains("http-equiv") && !page.contains("src=") && !page.contains("<script"));
    // Every id that a figure bears is explained.
    assert!(SHOWN.iter().all(|(id, _)| page.contains(&format!("<tr><td>{id}<td>"))));
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
