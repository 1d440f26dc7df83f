use cost::tco::study::{Amount, Attempt, Capacity, Count, Fallback, GpuPrice, LineItem, Part};
use cost::tco::{Exact, Provenance, Spread, model};

use super::*;
use crate::config::render;

const RIGHT: &str = include_str!("right.yaml");

fn of(text: &str) -> Option<Exact> {
    Exact::parse(text)
}

/// What is wrong with the right worksheet once a text in it is another.
fn check(from: &str, to: &str, expected: &[&str]) {
    assert!(RIGHT.contains(from), "{from}");
    let errors = worksheet("tco.yaml", &RIGHT.replacen(from, to, 1)).expect_err(to);
    let rendered = render(&errors);
    for words in expected {
        assert!(rendered.contains(words), "{words} not in\n{rendered}");
    }
}

#[test]
fn a_worksheet_is_read_with_the_source_of_every_figure() {
    let study = worksheet("tco.yaml", RIGHT).unwrap();
    assert_eq!(study.tasks.value, of("1200000"));
    assert_eq!(study.tasks.source.evidence, "tco.yaml, line 4");
    assert_eq!(study.tasks.source.provenance, Provenance::Assumed);
    let seen = &study.candidate.first_pass;
    assert_eq!(seen.spread.as_deref(), Some(&Spread::Seen { successes: 460, of: 500 }));
    assert_eq!(
        (seen.source.provenance, seen.source.date.to_string().as_str(), seen.source.evidence.as_str()),
        (Provenance::Measured, "2026-11-20", "eval run parity-3")
    );
    let Attempt::Tokens(tokens) = &study.baseline.attempt else { panic!("{:?}", study.baseline.attempt) };
    assert_eq!((&tokens.input.value, &tokens.cached), (&of("1155"), &None));
    let Capacity::Gpus(gpus) = &study.candidate.capacity else { panic!("{:?}", study.candidate.capacity) };
    let (Count::Stated(count), GpuPrice::Rent(hour)) = (&gpus.count, &gpus.price) else { panic!("{gpus:?}") };
    assert_eq!((count.value.clone(), hour.source.provenance), (of("2"), Provenance::Stated));
    assert!(
        matches!(&study.baseline.fallback, Fallback::Nothing(because) if because.words == "the vendor stands in for itself")
    );
    let given = |item| study.candidate.given.iter().find(|(given, _)| *given == item).map(|(_, amount)| amount);
    assert!(matches!(given(LineItem::OnCall), Some(Amount::Parts(parts)) if matches!(parts[..], [Part::Monthly(_)])));
    assert!(matches!(given(LineItem::Embeddings), Some(Amount::Parts(parts)) if parts.len() == 2));
}

/// W8 and W9 from a file: the same figures as from the engine's own study.
#[test]
fn the_figures_of_a_worksheet_are_those_of_the_engine() {
    let book = model(&worksheet("tco.yaml", RIGHT).unwrap());
    assert_eq!(book.unknown().count(), 0);
    let shown = |id: &str| book.find(id).and_then(|cell| cell.shown()).unwrap();
    assert_eq!(shown("baseline.cost_per_successful_task"), "0.12549725");
    assert_eq!(shown("baseline.total"), "150596.70");
    assert_eq!(book.value("candidate.cost_per_successful_task").unwrap().rounded(8, 0), "0.10211896");
    assert_eq!(shown("candidate.item.embeddings"), "10.00");
}

#[test]
fn what_is_unknown_is_asked_for_with_its_line_and_what_is_not_written_with_where_it_belongs() {
    let text = RIGHT
        .replace("tasks_per_month: 1_200_000", "tasks_per_month: unknown")
        .replace("review_hour: { value: 60, low: 30, high: 120 }\n", "")
        .replace("growth: { tasks: 0, tokens: 0 }\n", "")
        .replace("    fixed: 1\n", "")
        .replace("    observability: 642.78\n", "");
    let book = model(&worksheet("tco.yaml", &text).unwrap());
    let asked: Vec<(&str, String)> = book.unknown().map(|cell| (cell.id.as_str(), cell.place())).collect();
    for (id, place) in [
        ("tasks_per_month", "line 4"),
        ("review_hour", "not written: it belongs at the top level"),
        ("growth.tasks", "not written: it belongs under `growth`"),
        ("baseline.review.fixed", "not written: it belongs under `baseline.review`, from line 16"),
    ] {
        assert!(asked.iter().any(|asked| *asked == (id, place.to_owned())), "{id} {place} not in {asked:#?}");
    }
    let is_of_items =
        |(_, place): &(&str, String)| place.starts_with("not written: it belongs under `candidate.items`, from");
    assert!(asked.iter().any(is_of_items), "{asked:#?}");
}

/// Every problem of a text, as it is shown.
fn problems(text: &str) -> String {
    render(&worksheet("tco.yaml", text).expect_err(text))
}

#[test]
fn what_is_no_worksheet_is_said_to_be_none_and_not_read_as_one() {
    let said = problems("dataset: cases.jsonl\ntargets: [t]\n");
    assert!(
        said.contains("tco.yaml:1:1: this is no worksheet of costs: one has the line `worksheet: crossfade-tco/1`"),
        "{said}"
    );
    assert!(said.contains("crossfade tco init") && said.contains("1 error in tco.yaml"), "{said}");
}

#[test]
fn a_side_that_is_not_there_is_missing_once_and_none_of_its_keys() {
    let said = problems("worksheet: crossfade-tco/1\ndate: 2026-11-26\ntasks_per_month: 5\n");
    assert!(said.contains("`baseline` is missing") && said.contains("`candidate` is missing"), "{said}");
    assert!(said.contains("2 errors in tco.yaml"), "{said}");
    let said = problems(&RIGHT.replace("baseline:", "baselin:"));
    assert!(said.contains("did you mean `baseline`?") && said.contains("2 errors in tco.yaml"), "{said}");
}

#[test]
fn mistakes_are_named_with_line_and_nearest_word() {
    check(
        "tasks_per_month",
        "tasks_per_moth",
        &["tco.yaml:4:1: `tasks_per_moth`: unknown key", "did you mean `tasks_per_month`?"],
    );
    check("    on_call:", "    oncall:", &["did you mean `on_call`?"]);
    check("1_200_000", "lots", &["tco.yaml:4:", "expected a number above 0, or `unknown`, found `lots`"]);
    check("share: 0.01", "share: 1%", &["a share from 0 to 1 (for 5 % write 0.05)"]);
    check("seen: 460, of: 500", "seen: 460, of: 400", &["no more are seen than there are"]);
    check("low: 2, high: 4.5", "low: 4, high: 4.5", &["`low` is below `high`"]);
    check("seen: 460", "value: 0.9, seen: 460", &["a figure has a `value`"]);
    check("{ none: \"the vendor runs the machines\" }", "{ none: \"\" }", &["needs a reason"]);
    check("  gpus: { none: \"the vendor runs the machines\" }\n", "", &["`baseline.gpus`", "`gpus` is missing"]);
    check("crossfade-tco/1", "crossfade-tco/2", &["expected `crossfade-tco/1`"]);
    check("date: 2026-11-26", "date: yesterday", &["expected a day such as 2026-11-26"]);
    check("certainty: 0.8", "certainty: 0.4", &["above 0.5 and below 1"]);
    check("count: 2", "count: 2, peak: { tokens_per_second: 1 }", &["is a `count`, or follows from a `peak`"]);
    check("count: 2", "count: 2, headrom: 1", &["unknown key"]);
    check(
        "input_tokens: 1155",
        "input_tokens: 1155, cached_tokens: 2000, cached_price: 1",
        &["a part of `input_tokens`"],
    );
}
