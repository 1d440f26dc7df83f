//! What counts, what does not, and that page one says so.

use cost::date::Date;
use cost::tco::study::{Amount, Attempt, Because, Capacity, Fallback, LineItem, Part, Review, Side};
use cost::tco::{Exact, Provenance, Quantity, Source, Spread, Study};

use super::*;
use crate::money::doubled;
use crate::report::Report;

fn source() -> Source {
    let (evidence, id) = ("an example".to_owned(), "answers:example".to_owned());
    Source { provenance: Provenance::Stated, date: Date(19_999), evidence, id }
}

fn of(text: &str) -> Quantity {
    Quantity { value: Exact::parse(text), spread: None, source: source(), line: None }
}

fn side(name: &str) -> Side {
    let because = || Because { words: "the example has none".to_owned(), source: source() };
    Side {
        name: name.to_owned(),
        first_pass: of("1"),
        retries: Vec::new(),
        attempt: Attempt::Nothing(because()),
        price_change: of("0"),
        review: Review {
            sampled: (of("0"), of("0")),
            escalated: (of("1"), of("0")),
            fixed: of("1"),
            undetected: (of("0"), of("0")),
        },
        capacity: Capacity::Nothing(because()),
        fallback: Fallback::Nothing(because()),
        given: LineItem::GIVEN.map(|item| (item, Amount::Nothing(because()))).into(),
    }
}

/// Reads `gpt own 450000`: two sides, of which the first costs $120,000 a month and the second $70,000, and what the change costs; `example` behind it is one,
/// and `simulated` has an attempt whose price is that of a simulated provider.
struct Sheets;

impl Engine for Sheets {
    fn study(&self, _file: &str, text: &str) -> Result<Study, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [baseline, candidate, once, more @ ..] = words.as_slice() else {
            return Err(format!("no worksheet: {text}"));
        };
        let mut own = side(candidate);
        own.given[4].1 = Amount::Parts(vec![Part::Monthly(of("70_000"))]);
        let once = Quantity { value: Exact::parse(once), ..of("0") };
        let mut attempt = of("0.1");
        if more.contains(&"simulated") {
            attempt.source.evidence = "5 priced calls of target gpt, simulated".to_owned();
        }
        if more.contains(&"lopsided") {
            let [low, high] = ["0.02", "0.1"].map(|end| Exact::parse(end).unwrap());
            attempt.spread = Some(Box::new(Spread::Triangular { low, high }));
        }
        Ok(Study {
            name: "example".to_owned(),
            date: Date(19_999),
            example: more.contains(&"example"),
            tasks: of("1_200_000"),
            review_hour: of("60"),
            months: 12,
            discount: of("0"),
            volume_growth: of("0"),
            token_growth: of("0"),
            one_off: vec![("migration".to_owned(), once)],
            target_saving: of("0.2"),
            certainty: of("0.8"),
            baseline: Side { attempt: Attempt::Dollars(attempt), ..side(baseline) },
            candidate: own,
            scenarios: Vec::new(),
        })
    }

    fn standings(&self, row: &RolloutRow, at_us: u64) -> Result<Standings, String> {
        Plain.standings(row, at_us)
    }
}

/// Everything else proven, costs required, and these worksheets: of what, and their text.
fn priced(sheets: &[(Option<&str>, &str)]) -> Rows {
    let mut rows = rows();
    rows.settings.scorecard.tco.required = true;
    for (idx, (of, text)) in sheets.iter().enumerate() {
        let source = format!("{idx}.yaml");
        rows.settings.worksheets.push(Worksheet { source, of: of.map(str::to_owned) });
        rows.worksheets.push((*text).to_owned());
    }
    rows
}

fn of_priced(sheets: &[(Option<&str>, &str)]) -> Report {
    report(&priced(sheets), &Sheets)
}

fn because(report: &Report, area: usize) -> String {
    report.moves[0].areas[area].because.clone()
}

#[test]
fn a_worksheet_of_other_sides_is_not_counted_whoever_says_what_it_is_of() {
    for of in [None, Some("support"), Some("chat")] {
        let found = of_priced(&[(of, "mistral llama 450000")]);
        assert_eq!((found.moves[0].decision, found.moves[0].rule), (Decision::NotEnoughEvidence, "U1"), "{of:?}");
        assert_eq!(found.moves[0].areas[4].standing, Standing::NotRun);
        assert_eq!(found.stale.len(), 1, "{:?}", found.stale);
        assert_eq!(found.stale[0].what, "worksheet `0.yaml`");
        assert!(found.stale[0].why.starts_with("its sides are `mistral` and `llama`"), "{:?}", found.stale);
        let said = because(&found, 4);
        assert!(said.starts_with("1 worksheet of costs given, none counts: its sides are `mistral`"), "{said}");
    }
    for of in [None, Some("support"), Some("chat")] {
        let found = of_priced(&[(of, "gpt own 450000")]);
        assert_eq!((found.moves[0].rule, found.stale.len()), ("A1", 0), "{:?}", found.moves[0].reasons);
    }
    assert_eq!(because(&of_priced(&[]), 4), "no worksheet of costs for these two targets was given");
}

#[test]
fn an_example_is_no_evidence_of_costs() {
    let found = of_priced(&[(None, "gpt own 450000 example")]);
    assert_eq!(found.moves[0].areas[4].standing, Standing::NotRun);
    assert!(found.stale[0].why.starts_with("it is an example (`example: true`)"), "{:?}", found.stale);
    assert!(because(&found, 4).starts_with("1 worksheet of costs given, none counts: it is an example"), "{found:?}");
}

#[test]
fn the_row_of_costs_says_whose_price_or_side_is_simulated() {
    let plain = of_priced(&[(None, "gpt own 450000")]);
    assert!(!plain.moves[0].areas[4].simulated && !because(&plain, 4).contains("simulated"), "{plain:?}");
    let price = of_priced(&[(None, "gpt own 450000 simulated")]);
    assert!(price.moves[0].areas[4].simulated && price.simulated);
    assert!(because(&price, 4).ends_with("; simulated: 1 figure of the worksheet"), "{}", because(&price, 4));
    let mut rows = priced(&[(None, "gpt own 450000")]);
    if let Some(candidate) = &mut rows.settings.moves[0].candidate {
        candidate.simulated = true;
    }
    let side = report(&rows, &Sheets);
    assert!(side.moves[0].areas[4].simulated);
    assert!(because(&side, 4).ends_with("; simulated: the answers of `own`"), "{}", because(&side, 4));
}

#[test]
fn a_point_lies_within_its_interval_where_what_may_come_is_lopsided() {
    let found = of_priced(&[(None, "gpt own 450000 lopsided")]);
    let figures: Vec<_> =
        found.moves[0].figures().filter(|figure| figure.low.is_some() && figure.high.is_some()).collect();
    for figure in &figures {
        let is_within = figure.value.is_some_and(|value| Some(value) >= figure.low && Some(value) <= figure.high);
        assert!(is_within, "{figure:?}");
    }
    let of = |id: &str| found.moves[0].figures().find(|figure| figure.id == id).unwrap();
    let (median, stated) = (of("m1.tco.baseline"), of("m1.tco.baseline.stated"));
    assert!(median.label.ends_with("the median of draws"), "{median:?}");
    assert!(
        stated.value > median.high && stated.low.is_none(),
        "the stated figure is the dearest there is: {stated:?} {median:?}"
    );
}

#[test]
fn what_stays_says_by_how_much_it_fails_in_percent_and_money_and_who_is_live_today() {
    let mut rows = priced(&[(None, "gpt own 450000")]);
    rows.settings.scorecard.tco.saving = Real(0.6);
    rows.rollouts.push(RolloutRow {
        name: "to-own".to_owned(),
        route: "chat".to_owned(),
        fingerprint: "f".to_owned(),
        fingerprint_now: Some("f".to_owned()),
        simulated: false,
        state_json: "completed".to_owned(),
        policy_json: String::new(),
        evidence_json: None,
    });
    let found = report(&rows, &Sheets);
    let verdict = &found.moves[0].verdict;
    let wanted = "wanted: saves ≥ 60.0 %, 80.0 % sure: $72000 of the $120000 that a month at the baseline costs";
    assert!(verdict.contains("fails cost (41.7 % saved [41.7 to 41.7]; ") && verdict.contains(wanted), "{verdict}");
    let page = html(&found);
    let first = page.split("class=\"detail").next().unwrap();
    assert!(
        first.contains("98.0 % of users' requests on <code>own</code>") && first.contains("saves $50000 a month"),
        "{first}"
    );
    // A rollout that has ended has no gates, and no head of a table of none.
    assert!(markdown(&found).contains("Live today: rollout `to-own`") && !markdown(&found).contains("| live gate |"));
}

#[test]
fn page_one_of_some_workloads_has_what_is_open_with_the_command_of_each() {
    let mut rows = priced(&[]);
    let one = rows.settings.moves.remove(0);
    rows.settings.moves = ["a", "b"].map(|name| Move { workload: name.to_owned(), ..one.clone() }).to_vec();
    let page = html(&report(&rows, &Sheets));
    let first = page.split("class=\"detail").next().unwrap().replace("<i>", "").replace("</i>", "");
    let first = first.split_once("What is open or fails, and the command for each").unwrap().1;
    assert_eq!(
        first.matches("<code>crossfade tco init --route chat --run parity --candidate own -o tco-").count(),
        2,
        "{first}"
    );
    assert_eq!(first.matches("no worksheet of costs for these two targets was given").count(), 2);
}

#[test]
fn a_worksheet_of_another_workload_of_the_report_is_not_missed_here() {
    let mut rows = priced(&[(None, "gpt llama 450000")]);
    let other =
        Move { route: "mail".to_owned(), candidate: Some(target("llama", "hosted")), ..rows.settings.moves[0].clone() };
    rows.settings.moves.push(other);
    let found = report(&rows, &Sheets);
    assert_eq!(because(&found, 4), "no worksheet of costs for these two targets was given");
    assert_eq!(found.moves[1].areas[4].standing, Standing::Pass);
    assert!(found.stale.iter().all(|one| !one.what.contains("worksheet")), "{:?}", found.stale);
}

#[test]
fn page_one_says_what_is_saved_a_month_what_the_change_costs_and_when_it_is_back() {
    let found = of_priced(&[(None, "gpt own 450000")]);
    let said = because(&found, 4);
    let money = "saves $50000 a month, the change costs $450000 once, paid for itself in month 9";
    assert!(said.ends_with(&format!("{money}; 2 figures of the worksheet are assumed")), "{said}");
    let page = html(&found);
    assert!(page.split("class=\"detail").next().unwrap().contains(money));
    let mut two = priced(&[(None, "gpt own 450000")]);
    two.settings.moves.push(Move { workload: "mail".to_owned(), ..two.settings.moves[0].clone() });
    let page = html(&report(&two, &Sheets));
    assert_eq!(page.split("class=\"detail").next().unwrap().matches("saves $50000 a month").count(), 2);
    let said = because(&of_priced(&[(None, "gpt own 4500000")]), 4);
    assert!(said.contains("not paid for itself within 12 months; "), "{said}");
    let said = because(&of_priced(&[(None, "gpt own unknown")]), 4);
    let unknown = "saves $50000 a month, what the change costs once is unknown, when it has paid for itself is unknown";
    assert!(said.contains(unknown), "{said}");
}

#[test]
fn two_worksheets_of_one_workload_are_named_and_those_of_two_are_not() {
    let sides = |names: [&str; 2]| names.map(str::to_owned);
    let twice = priced(&[(None, "gpt own 0"), (Some("support"), "gpt own 0")]);
    let both = doubled(&twice.settings, &[sides(["gpt", "own"]), sides(["gpt", "own"])]);
    assert_eq!(both.as_deref(), Some("0.yaml and 1.yaml are both worksheets of costs of `support`"));
    let said = priced(&[(Some("chat"), ""), (Some("support"), "")]);
    assert!(doubled(&said.settings, &[sides(["gpt", "own"]), sides(["a", "b"])]).is_some());
    let other = priced(&[(None, ""), (None, "")]);
    assert_eq!(doubled(&other.settings, &[sides(["gpt", "own"]), sides(["gpt", "llama"])]), None);
}

#[test]
fn benchmarks_that_are_all_invalid_are_counted_on_the_row_with_the_reason_of_their_verdict() {
    let invalid = |name: &str, lag: &str| {
        let mut level = level(50.0, FAST, &[]);
        level["invalid"] = json!(format!("the client could not keep up: p99 of client_lag is {lag} ms"));
        let mut bench = document(name, vec![level], (64.0, 70.0));
        bench.text = bench.text.replace("\"verdict\":\"valid\"", "\"verdict\":\"invalid\"");
        bench.text = bench.text.replace("\"why\":[]", "\"why\":[\"requests were of one length\"]");
        bench
    };
    let found = report(&benched(vec![invalid("a", "9"), invalid("b", "9")]), &Plain);
    let words =
        "2 benchmarks of the candidate on record, none valid: the client could not keep up: p99 of client_lag is 9 ms";
    assert_eq!(because(&found, 2), words);
    assert!(because(&found, 1).ends_with(words), "{}", because(&found, 1));
    assert!(found.stale.iter().all(|one| one.why.contains("client_lag is 9 ms")), "{:?}", found.stale);
    let mut old = benched(vec![bench(FAST, 64.0, 70.0)]);
    old.benches[0].text =
        old.benches[0].text.replace(&(NOW_US - DAY_US).to_string(), &(NOW_US - 91 * DAY_US).to_string());
    let said = because(&report(&old, &Plain), 2);
    assert_eq!(said, "1 benchmark of the candidate on record, none counts: it is 91 days old; 90 are the most");
    let mut unsearched = benched(vec![bench(FAST, 64.0, 70.0)]);
    unsearched.benches[0].text = unsearched.benches[0].text.replace("\"over\":\"rate\"", "\"over\":\"streams\"");
    let said = because(&report(&unsearched, &Plain), 2);
    assert_eq!(said, "no search for the most load among 1 valid benchmark of the candidate on record");
    assert_eq!(because(&report(&benched(Vec::new()), &Plain), 2), "no benchmark of the candidate is on record");
}

#[test]
fn an_evaluation_that_a_newer_one_stands_before_is_listed_with_its_verdict_and_one_that_disagrees_is_on_the_row() {
    let mut rows = rows();
    let mut later = run(cases(40, 85));
    (later.head.run, later.head.at_us) = ("short".to_owned(), NOW_US);
    rows.runs.insert(0, later);
    let found = report(&rows, &Plain);
    assert_eq!(found.moves[0].areas[0].standing, Standing::Undecided);
    let said = because(&found, 0);
    assert!(said.ends_with("; an earlier run disagrees: `parity` is pass on 600 cases at a margin of 0.05"), "{said}");
    let listed: Vec<(&str, &str)> = found.stale.iter().map(|one| (&*one.what, &*one.why)).collect();
    let why = "`short` of the same two targets is newer; this one is pass on 600 cases";
    assert_eq!(listed, [("evaluation `parity`", why)]);
    // One that agrees is listed and no more.
    rows.runs[0].cases = cases(600, 89);
    let found = report(&rows, &Plain);
    assert!(!because(&found, 0).contains("disagrees") && found.stale.len() == 1, "{}", because(&found, 0));
}

#[test]
fn what_the_command_line_loosens_is_on_page_one_and_in_the_facts() {
    let mut rows = rows();
    let plain = report(&rows, &Plain);
    assert!(!html(&plain).contains("command line") && !markdown(&plain).contains("command line"));
    let demanded = |text: &str, is_looser| crate::settings::Demanded { text: text.to_owned(), is_looser };
    rows.settings.set = vec![demanded("throughput.required=false", true), demanded("quality.parity=0.95", false)];
    let found = report(&rows, &Plain);
    let line = "Loosened on the command line: throughput.required=false. Set on the command line: quality.parity=0.95.";
    assert!(html(&found).split("class=\"detail").next().unwrap().contains(line) && markdown(&found).contains(line));
    let facts = serde_json::to_value(&found).unwrap();
    assert_eq!(facts["set"][0], json!({ "text": "throughput.required=false", "is_looser": true }));
}

#[test]
fn a_scorecard_is_looser_where_any_area_asks_for_less() {
    let check = |change: &dyn Fn(&mut Scorecard), expected: bool| {
        let (before, mut after) = (Scorecard::default(), Scorecard::default());
        change(&mut after);
        assert_eq!(after.is_looser_than(&before), expected, "{after:?}");
    };
    check(&|_| (), false);
    check(&|card| card.throughput.required = false, true);
    check(&|card| card.quality.parity = Real(0.8), true);
    check(&|card| card.quality.parity = Real(0.95), false);
    check(&|card| card.latency.p95_ms = 3000, true);
    check(&|card| card.latency.p95_ms = 1500, false);
    check(&|card| card.tco.certainty = Real(0.5), true);
    check(&|card| card.max_age_days = 365, true);
    check(&|card| card.max_age_days = 30, false);
    check(&|card| card.safety.filed = vec!["other".to_owned()], true);
}
