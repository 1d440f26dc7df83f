use cost::tco::study::{Attempt, Capacity, Study};
use cost::tco::{Book, Exact, Provenance, Quantity, Spread, model};

use super::*;
use crate::config::worksheet;

/// 2026-11-26 06:00:00 UTC.
const SIX: u64 = 1_795_672_800 * SECOND;

fn known(classes: [Option<Class>; 2], fill: impl FnOnce(&mut Known)) -> (Known, Study) {
    let mut known = Known::new(Date::parse("2026-11-26").unwrap());
    fill(&mut known);
    classes.into_iter().enumerate().for_each(|(idx, class)| known.machines(idx, class, None));
    let filled = known.worksheet();
    assert!(!filled.contains('@'), "every place is filled:\n{filled}");
    let study = worksheet("tco.yaml", &filled).unwrap_or_else(|errors| panic!("{}", crate::config::render(&errors)));
    (known, study)
}

/// What a record of `n` requests in so long makes of the number of tasks.
fn check(n: u64, lasted: u64, tasks: Option<(&str, Provenance)>, said: &str) -> Study {
    let recorded = Recorded {
        requests: n,
        between_us: Some((SIX, SIX + lasted)),
        tokens: Some((10.0, 30.0)),
        peak_per_minute: 4,
        ..Recorded::default()
    };
    let (known, study) = known([None, None], |known| known.traffic("support", &recorded));
    assert!(known.said.iter().any(|words| words.contains(said)), "{said} not in {:?}", known.said);
    let found = &study.tasks;
    assert_eq!(found.value, tasks.and_then(|(value, _)| Exact::parse(value)), "{found:?}");
    assert!(tasks.is_none_or(|(_, provenance)| found.source.provenance == provenance), "{found:?}");
    study
}

fn book(study: &Study) -> Book {
    model(study)
}

#[test]
fn the_template_is_a_worksheet_in_which_all_that_nobody_knows_is_asked_for() {
    let (_, study) = known([None, None], |_| {});
    let book = book(&study);
    assert!(book.unknown().count() > 40);
    assert!(book.find("baseline.total").is_some_and(|cell| cell.value.is_none()));
    assert!(book.unknown().any(|cell| cell.id == "candidate.attempt"), "nobody said that it has GPUs of its own");
}

#[test]
fn seconds_of_record_say_nothing_of_a_month() {
    let said =
        "too short: 21 requests of route support in 21 seconds from 2026-11-26 06:00:00 to 2026-11-26 06:00:21 UTC;";
    let study = check(21, 21 * SECOND, None, said);
    assert!(book(&study).unknown().any(|cell| cell.id == "candidate.gpus.peak.tokens_per_second"));
    check(1, 0, None, "1 request of route support in 0 seconds");
    check(500, DAY - 1, None, "warning: ");
}

#[test]
fn days_of_record_are_an_assumption_and_a_week_is_measured() {
    let study = check(480, 2 * DAY, Some(("7300", Provenance::Assumed)), "do not show a whole week");
    let [low, high] = ["3650", "14600"].map(|text| Exact::parse(text).unwrap());
    assert_eq!(study.tasks.spread.as_deref(), Some(&Spread::Triangular { low, high }));
    let peak = book(&study).find("candidate.gpus.peak.tokens_per_second").unwrap().clone();
    assert_eq!((peak.shown().as_deref(), peak.source.provenance), (Some("2"), Provenance::Assumed));
    check(480, WEEK - 1, Some(("2086", Provenance::Assumed)), "in 6.9 days from");
    let study = check(1680, WEEK, Some(("7300", Provenance::Measured)), "7300 tasks a month are 1680 requests");
    assert_eq!(study.tasks.spread, None);
    check(u64::MAX >> 20, 30 * DAY, Some(("17836521961699", Provenance::Measured)), "30 days");
}

#[test]
fn a_time_is_said_in_its_largest_unit() {
    let said = [0, 1, 21, 60, 90, 3599, 3600, 86_400, 812_160].map(|seconds| span(seconds * SECOND));
    let expected = [
        "0 seconds",
        "1 second",
        "21 seconds",
        "1 minute",
        "1.5 minutes",
        "59.9 minutes",
        "1 hour",
        "1 day",
        "9.4 days",
    ];
    assert_eq!(said, expected);
}

#[test]
fn only_who_is_self_hosted_has_gpus_of_its_own() {
    let priced = |known: &mut Known| {
        known.names = [Some("gpt".to_owned()), Some("open-small".to_owned())];
        known.attempts = ["0.004", "0.001"].map(|value| Some(measured(value, known.today, ("a run", "eval-run:r"))));
    };
    for class in [Some(Class::Vendor), Some(Class::Hosted), Some(Class::External), Some(Class::Simulated), None] {
        let (_, study) = known([Some(Class::Vendor), class], priced);
        assert!(matches!(study.candidate.attempt, Attempt::Dollars(_)), "{class:?}");
        assert!(matches!(study.candidate.capacity, Capacity::Nothing(_)), "{class:?}");
    }
    let (known_own, study) = known([Some(Class::Vendor), Some(Class::SelfHosted)], priced);
    let Attempt::Nothing(because) = &study.candidate.attempt else { panic!("{:?}", study.candidate.attempt) };
    assert_eq!(because.words, "it runs on GPUs of its own");
    assert!(
        matches!(study.candidate.capacity, Capacity::Gpus(_)) && matches!(study.baseline.attempt, Attempt::Dollars(_))
    );
    assert!(known_own.said.iter().any(|words| words.contains("open-small is self_hosted")), "{:?}", known_own.said);
}

#[test]
fn a_price_by_the_hour_of_a_gpu_asks_for_gpus_and_is_what_an_hour_costs() {
    let hour = GpuHour {
        dollars: cost::Decimal::parse("2.50"),
        stated: cost::sheet::Stated {
            source: "contract 9".to_owned(),
            checked: Date::parse("2026-11-20").unwrap(),
            provenance: cost::sheet::Provenance::Contract,
        },
    };
    let of = |class: Option<Class>| {
        let mut known = Known::new(Date::parse("2026-11-26").unwrap());
        known.names = [Some("gpt".to_owned()), Some("open".to_owned())];
        known.attempts = ["0.004", "0"].map(|value| Some(measured(value, known.today, ("a run", "eval-run:r"))));
        known.machines(0, Some(Class::Vendor), None);
        known.machines(1, class, Some(&hour));
        let study = worksheet("tco.yaml", &known.worksheet()).unwrap();
        let book = book(&study);
        assert!(
            book.unknown().any(|cell| cell.id == "candidate.gpus.peak.per_gpu"),
            "{class:?}: how many is asked for"
        );
        let cell = book.find("candidate.gpus.per_hour").unwrap();
        assert_eq!((cell.shown().as_deref(), cell.source.provenance), (Some("2.50"), Provenance::Stated), "{class:?}");
        known.said.concat()
    };
    assert!(of(Some(Class::Vendor)).contains("warning: open is of class vendor in the config and priced by the hour"));
    assert!(of(Some(Class::Hosted)).contains("warning: open is of class hosted"));
    assert!(!of(Some(Class::SelfHosted)).contains("warning"));
    assert!(of(Some(Class::Simulated)).contains("open is priced by the hour of a GPU: its GPUs are asked for"));
}

#[test]
fn a_price_by_the_call_of_machines_of_ones_own_is_left_out_with_a_warning() {
    let (known, study) = known([Some(Class::Vendor), Some(Class::SelfHosted)], |known| {
        known.names = [Some("gpt".to_owned()), Some("open".to_owned())];
        known.attempts = ["0.004", "0.001"].map(|value| Some(measured(value, known.today, ("a run", "eval-run:r"))));
    });
    assert!(matches!(study.candidate.capacity, Capacity::Gpus(_)));
    assert!(known.said.concat().contains("warning: open is self_hosted in the config and priced by the call"));
}

#[test]
fn reviews_that_were_timed_say_what_one_takes_and_how_sure_that_is() {
    let times = ReviewTimes { n: 41, n_longer: 2, mean: 1.5, error: 0.1 };
    let (filled, study) = known([None, None], |known| known.reviews(Some(&times), 30));
    let minutes = &study.candidate.review.sampled.1;
    assert_eq!(minutes, &Quantity { line: minutes.line, ..study.baseline.review.sampled.1.clone() });
    assert_eq!(minutes.value, Exact::parse("1.5"));
    let [low, high] = ["1.2551", "1.7449"].map(|text| Exact::parse(text).unwrap());
    assert_eq!(minutes.spread.as_deref(), Some(&Spread::Triangular { low, high }));
    assert_eq!((minutes.source.provenance, minutes.source.id.as_str()), (Provenance::Measured, "reviews:2026-11-26"));
    assert!(
        filled.said[0].contains("41 blind reviews took, 1.50 minutes; 2 of more than an hour left out"),
        "{:?}",
        filled.said
    );
}

#[test]
fn what_only_people_know_is_marked_so() {
    let (known, study) = known([None, None], |known| {
        known.traffic(
            "support",
            &Recorded { client_retries: 3, requests: 21, between_us: Some((SIX, SIX)), ..Recorded::default() },
        );
    });
    let filled = known.worksheet();
    let is_said = |line: &&str| line.contains("unknown") && !line.trim_start().starts_with('#');
    assert!(filled.lines().filter(is_said).all(|line| line.contains('#')), "{filled}");
    assert!(filled.contains("quality_staff: unknown      # people know this"), "{filled}");
    assert!(filled.contains("3 of 21 requests on record were callers' own retries"), "{filled}");
    // Goal A-9, of an empty worksheet: both sides have every item, and no figure lacks its source, its day or its id.
    let book = book(&study);
    for cell in book.cells() {
        assert!(
            !cell.source.evidence.is_empty() && !cell.source.id.is_empty() && cell.source.date.0 > 0,
            "{}",
            cell.id
        );
    }
    for side in ["baseline", "candidate"] {
        for item in cost::tco::study::LineItem::ALL {
            let cell = book.find(&format!("{side}.item.{}", item.as_str())).unwrap();
            let is_nothing = cell.formula.is_none() && cell.value.as_ref().is_some_and(Exact::is_zero);
            assert!(
                !is_nothing || cell.source.evidence.starts_with("0 because "),
                "{}: {}",
                cell.id,
                cell.source.evidence
            );
        }
    }
}
