use super::*;
use crate::tco::samples::{better, linear, of, owned, paid_back, retries, support};
use crate::tco::study::LineItem;
use crate::tco::{Exact, Provenance, Study};

/// The figures of a study by name, as they are shown.
fn check(study: &Study, expected: &[(&str, &str)]) {
    let book = model(study);
    for (id, text) in expected {
        let cell = book.find(id).unwrap_or_else(|| panic!("no cell {id}"));
        assert_eq!(cell.shown().as_deref(), Some(*text), "{id} = {}", cell.source.evidence);
    }
    every_cell_is_whole(&book);
}

/// The same, to so many places.
fn near(study: &Study, places: u32, expected: &[(&str, &str)]) {
    let book = model(study);
    for (id, text) in expected {
        let value = book.value(id).unwrap_or_else(|| panic!("no value of {id}"));
        assert_eq!(value.rounded(places, places as usize), *text, "{id}");
    }
}

/// No figure without unit, date and evidence, the same items on both sides, each with an amount or a reason.
fn every_cell_is_whole(book: &Book) {
    for cell in book.cells() {
        assert!(!cell.unit.is_empty() && !cell.label.is_empty(), "{}", cell.id);
        assert!(cell.source.date.0 > 0 && !cell.source.evidence.is_empty(), "{}: {:?}", cell.id, cell.source);
        assert!(!cell.source.id.is_empty(), "{}", cell.id);
        assert_eq!(cell.source.provenance == Provenance::Derived, cell.formula.is_some(), "{}", cell.id);
    }
    for side in SIDES {
        for item in LineItem::ALL {
            let cell = book.find(&format!("{side}.item.{}", item.as_str())).unwrap();
            let reason = cell.source.evidence.starts_with("0 because ");
            assert!(reason || !cell.source.evidence.is_empty(), "{}", cell.id);
            assert!(cell.formula.is_some() || !cell.value.as_ref().unwrap().is_zero() || reason, "{}", cell.id);
        }
    }
}

#[test]
fn w1_gpus_for_a_peak_with_headroom_and_one_to_stand_in() {
    check(
        &linear(),
        &[
            ("baseline.gpus.count", "31"),
            ("candidate.gpus.count", "49"),
            ("baseline.item.gpu", "45625.00"),
            ("baseline.item.autoscaling_headroom", "9125.00"),
            ("baseline.item.redundancy", "1825.00"),
            ("baseline.item.power", "0.00"),
            ("baseline.total", "56575.00"),
            ("candidate.total", "89425.00"),
        ],
    );
    near(&linear(), 4, &[("delta.share", "0.5806"), ("saving.month_share", "-0.5806")]);
}

#[test]
fn w3_more_first_pass_success_is_worth_a_dearer_model() {
    near(
        &better([&[], &[]]),
        5,
        &[
            ("baseline.cost_per_successful_task", "0.67067"),
            ("candidate.cost_per_successful_task", "0.27667"),
            ("delta.share", "-0.58748"),
            ("even.review", "0.05000"),
        ],
    );
    near(
        &better([&["0.8"], &["0.92"]]),
        5,
        &[("baseline.cost_per_successful_task", "0.13813"), ("candidate.cost_per_successful_task", "0.03213")],
    );
    check(&better([&[], &[]]), &[("even.review", "0.05"), ("even.review_hour", "0.60")]);
}

#[test]
fn w4_slightly_cheaper_with_twice_the_retries_is_dearer() {
    let expected = [
        ("baseline.attempts", "1.25"),
        ("candidate.attempts", "1.5"),
        ("baseline.cost_per_successful_task", "0.0125"),
        ("candidate.cost_per_successful_task", "0.0135"),
        ("delta.share", "0.08"),
    ];
    check(&retries(), &expected);
}

#[test]
fn w5_the_month_in_which_the_change_has_paid_for_itself() {
    let expected = [
        ("baseline.total", "120000.00"),
        ("candidate.total", "70000.00"),
        ("even.month", "9"),
        ("month_008.even", "0"),
        ("present_worth", "150000.00"),
    ];
    check(&paid_back(), &expected);
    let never = Study { months: 8, ..paid_back() };
    check(&never, &[("even.month", "0")]);
}

#[test]
fn w6_what_an_hour_of_a_gpu_costs_that_is_bought() {
    check(&owned(None, "1"), &[("candidate.gpus.server_month", "6250.00"), ("candidate.gpus.server_power", "1042.44")]);
    check(&owned(None, "1"), &[("candidate.item.gpu", "6250.00"), ("candidate.item.power", "1042.44")]);
    near(&owned(None, "1"), 4, &[("candidate.gpus.per_hour", "1.2487")]);
    near(&owned(None, "0.6"), 4, &[("candidate.gpus.per_hour", "2.0812")]);
    near(&owned(Some("0.10"), "1"), 2, &[("candidate.gpus.server_month", "7885.12")]);
}

#[test]
fn w7_support_questions_at_a_vendor() {
    let expected = [
        ("baseline.attempt", "0.0049975"),
        ("baseline.attempts", "1.1"),
        ("baseline.failed", "0.05"),
        ("baseline.cost_per_successful_task", "0.12549725"),
        ("baseline.total", "150596.70"),
    ];
    check(&support(of("0.88")), &expected);
}

#[test]
fn w8_two_points_of_first_pass_success_decide() {
    for (right, cost, delta) in
        [("0.88", "0.15011896", "0.1962"), ("0.90", "0.12611896", "0.0050"), ("0.92", "0.10211896", "-0.1863")]
    {
        near(&support(of(right)), 8, &[("candidate.cost_per_successful_task", cost)]);
        near(&support(of(right)), 4, &[("delta.share", delta)]);
    }
    near(&support(of("0.90")), 5, &[("even.first_pass", "0.90052")]);
    near(&support(of("0.90")), 0, &[("even.volume_tokens", "1336958")]);
    check(&support(of("0.88")), &[("candidate.fixed", "7282.78")]);
}

/// Put the break-even in, and both sides cost the same.
#[test]
fn both_sides_are_even_at_their_break_evens() {
    let at = |id: &str| model(&support(of("0.91"))).value(id).unwrap().clone();
    let known = |value: Exact| crate::tco::Quantity { value: Some(value), ..of("0") };
    let mut moved = [support(of("0.91")), support(of("0.91")), support(of("0.91"))];
    moved[0].candidate.first_pass = known(at("even.first_pass"));
    moved[1].tasks = known(at("even.volume"));
    moved[2].review_hour = known(at("even.review_hour"));
    for study in moved {
        check(&study, &[("delta.per_task", "0.00")]);
    }
}

#[test]
fn what_depends_on_the_unknown_is_unknown_and_nothing_else() {
    let mut study = support(of("0.9"));
    study.candidate.first_pass.value = None;
    let book = model(&study);
    assert_eq!(book.unknown().map(|cell| cell.id.as_str()).collect::<Vec<_>>(), ["candidate.first_pass"]);
    assert_eq!(book.value("candidate.cost_per_successful_task"), None);
    assert!(book.value("baseline.cost_per_successful_task").is_some());
    assert!(book.value("candidate.item.gpu").is_some());
}

#[test]
fn growth_of_tasks_buys_more_gpus_and_growth_of_tokens_too() {
    let mut study = linear();
    study.volume_growth = of("0.10");
    let book = model(&study);
    // 1000 * 1.1 * 1.2 / 40 = 33 GPUs and one to stand in.
    assert_eq!(book.find("month_002.baseline").unwrap().shown().unwrap(), "62050.00");
    study.token_growth = of("0.10");
    // 1000 * 1.1 * 1.1 * 1.2 / 40 = 36.3
    assert_eq!(model(&study).find("month_002.baseline").unwrap().shown().unwrap(), "69350.00");
    let mut study = support(of("0.9"));
    study.baseline.price_change = of("-0.5");
    // Half of the fees of $6596.70, all of the review of $144 000.
    near(&study, 2, &[("month_001.baseline", "150596.70"), ("month_002.baseline", "147298.35")]);
}

/// A name says the same in a worksheet and in a "what if": tokens a second at the peak are not those of a GPU.
#[test]
fn what_if_names_a_figure_as_the_worksheet_does() {
    let count = |id: &str, value: &str| {
        let book = what_if(&linear(), &[(id.to_owned(), Exact::parse(value).unwrap())].into()).unwrap();
        book.find("candidate.gpus.count").unwrap().shown().unwrap()
    };
    // 600 * 1.2 / 25 = 28.8, and 1000 * 1.2 / 600 = 2; one stands in.
    assert_eq!(count("candidate.gpus.peak.tokens_per_second", "600"), "30");
    assert_eq!(count("candidate.gpus.peak.per_gpu", "600"), "3");
    let refused = what_if(&linear(), &[("candidate.gpus.tokens_per_second".to_owned(), Exact::of(600))].into());
    assert!(matches!(refused, Err(WhatIfError::NoCell(_))), "{refused:?}");
    let book = model(&support(of("0.88")));
    for id in ["baseline.attempt.input_tokens", "baseline.attempt.output_price", "candidate.fallback.share"] {
        assert!(book.find(id).is_some_and(|cell| cell.formula.is_none()), "{id}");
    }
}

#[test]
fn what_if_changes_an_input_says_so_and_refuses_what_cannot_be() {
    let asked =
        |id: &str, value: &str| what_if(&support(of("0.88")), &[(id.to_owned(), Exact::parse(value).unwrap())].into());
    let book = asked("candidate.first_pass", "0.92").unwrap();
    assert_eq!(book.value("candidate.cost_per_successful_task").unwrap().rounded(8, 0), "0.10211896");
    let source = &book.find("candidate.first_pass").unwrap().source;
    assert_eq!(source.evidence, "what if, instead of 0.88 (worked answers)");
    let wrong = |id, value| asked(id, value).unwrap_err().to_string();
    assert_eq!(wrong("candidate.first", "1"), "no figure is called `candidate.first`");
    assert_eq!(wrong("candidate.first_pass", "1.1"), "`candidate.first_pass` cannot be 1.1: a share from 0 to 1");
    assert_eq!(wrong("review_hour", "-1"), "`review_hour` cannot be -1: at least 0");
    assert!(wrong("baseline.attempts", "1").starts_with("`baseline.attempts` is computed: (1 + "));
    assert!(asked("growth.tasks", "-0.1").is_ok());
}

/// Two replicas by night and six by day on workdays: the mean is paid, and the four more of each morning from half an hour before.
#[test]
fn gpus_by_the_hour_of_the_week_are_the_mean_and_what_starts_early() {
    let mut study = linear();
    let replicas = (0..168).map(|hour| if hour / 24 < 5 && (8..18).contains(&(hour % 24)) { of("6") } else { of("2") });
    let count = crate::tco::study::Count::Hours(Box::new(crate::tco::study::HourCount {
        replicas: replicas.collect(),
        gpus: of("2"),
        cold_start_s: of("1800"),
    }));
    let price = crate::tco::study::GpuPrice::Rent(of("2.5"));
    study.candidate.capacity = crate::tco::study::Capacity::Gpus(Box::new(crate::tco::study::Gpus { count, price }));
    // (50 * 6 + 118 * 2) * 2 / 168 GPUs, and 5 * 4 * 0.5 * 2 / 168 of them early.
    near(
        &study,
        6,
        &[
            ("candidate.gpus.base", "6.380952"),
            ("candidate.gpus.early", "0.119048"),
            ("candidate.item.gpu", "11645.238095"),
            ("candidate.item.autoscaling_headroom", "217.261905"),
            ("candidate.item.redundancy", "0.000000"),
        ],
    );
    every_cell_is_whole(&model(&study));
}
