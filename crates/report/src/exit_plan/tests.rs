//! Plans of made-up facts: what is said, what is missing, and where Art. 10 finds it.

use cost::date::Date;
use expect_test::{ExpectFile, expect_file};

use super::*;
use crate::rows::FiledRow;
use crate::tests::{NOW_US, Plain, rows};

const DAY_US: u64 = 86_400_000_000;

/// Nothing but what the decision report knows.
fn bare() -> Leaving {
    let rows = rows();
    let report = crate::report::report(&rows, &Plain);
    Leaving {
        version: "0".to_owned(),
        at_us: NOW_US,
        recorded: rows.settings.moves[0].recorded,
        mv: report.moves[0].clone(),
        people: None,
        drills: Vec::new(),
        filed: Vec::new(),
        export: None,
        replacements: None,
    }
}

fn drill() -> ExitDrill {
    let part = |requests, by_alternative| DrillPart {
        requests,
        by_alternative,
        median_ms: Some(410.0),
        p95_ms: Some(900.0),
        ..DrillPart::default()
    };
    let way = |ms| DrillWay { time_to_switch_ms: Some(ms) };
    ExitDrill {
        from: "gpt".to_owned(),
        to: "own".to_owned(),
        simulated: false,
        actor: "dora".to_owned(),
        at_us: NOW_US - 2 * DAY_US,
        verdict: Some("pass".to_owned()),
        way_back: Some("asked".to_owned()),
        there: way(12.25),
        home: way(8.5),
        away_ms: Some(31_400.0),
        before: part(80, 0),
        away: DrillPart { stayed: 2, ..part(240, 238) },
        probes: Some(DrillProbes { golden_passed: 12, score: Some(0.94), ..DrillProbes::default() }),
        checks: vec![DrillCheck {
            what: "time to switch".to_owned(),
            measured: "12.3 ms".to_owned(),
            target: "at most 5.0 s".to_owned(),
            holds: true,
        }],
        digest: "0123456789abcdef".to_owned(),
    }
}

fn people() -> People {
    let some = |text: &str| Some(text.to_owned());
    let trigger = |when: &str| Trigger { when: some(when), decides: some("the CIO") };
    People {
        contract: Contract {
            vendor: some("Example Ltd"),
            reference: some("C-17"),
            ends: Some(Date(20_300)),
            notice_days: Some(90),
            transition_days: Some(30),
            deletion_days: Some(30),
        },
        business_owner: some("head of support"),
        technical_owner: some("platform team"),
        approver: some("the CIO"),
        function: some("answers to customers"),
        criticality: some("important: a third of all cases"),
        interruption: trigger("no answers for 4 hours"),
        failed_delivery: trigger("two months under the agreed level"),
        termination: trigger("a notice of the vendor"),
        decide_hours: Some(4),
        decommission_days: Some(20),
        communication: vec![Telling {
            who: "users".to_owned(),
            how: "status page within an hour".to_owned(),
            by: "support".to_owned(),
        }],
        assumptions: vec!["the alternative's machines are paid until the end of next year".to_owned()],
        residual: vec![Residual { what: "fine-tuned weights".to_owned(), why: "trained again by March".to_owned() }],
        review: Review { every_days: Some(180), last: Some(Date(19_900)), by: some("risk") },
    }
}

/// Everything that can be known, but what the decision report has not.
fn whole() -> Leaving {
    let filed = FiledRow {
        rollout: "to-own".to_owned(),
        kind: "drill".to_owned(),
        name: "error".to_owned(),
        passed: true,
        at_us: NOW_US - 3 * DAY_US,
        digest: "fedcba9876543210".to_owned(),
        n: 40,
        actor: "dora".to_owned(),
        note: "detected after 21.000 ms, switched in 0.010 ms".to_owned(),
        fingerprint: None,
    };
    let row = |what: &str, standing: &str| MatrixRow {
        what: what.to_owned(),
        requests: 300,
        best: Some("own".to_owned()).filter(|_| standing != "none"),
        standing: standing.to_owned(),
        effort: "small".to_owned(),
        risk: "low".to_owned(),
        owners: vec!["@shop/support".to_owned()],
        cells: Vec::new(),
    };
    Leaving {
        people: Some(("exit.yaml".to_owned(), people())),
        drills: vec![drill()],
        filed: vec![filed],
        export: Some(ExportFacts {
            directory: "export".to_owned(),
            source: "https://api.example.com/v1".to_owned(),
            complete: true,
            signed: true,
            collections: vec![("files".to_owned(), 40, 123_456)],
            files: (43, 130_000),
            n_refused: 1,
            not_given: vec![("fine-tuned weights".to_owned(), "train again".to_owned())],
            digest: "aaaabbbbccccdddd".to_owned(),
        }),
        replacements: Some(Replacements {
            date: "2024-10-01".to_owned(),
            headline: "2 of 3 used capabilities have a measured replacement".to_owned(),
            of: vec!["shop".to_owned()],
            alternatives: vec![alternative("own")],
            rows: vec![row("tool calls", "equivalent"), row("a stored conversation", "none")],
        }),
        ..bare()
    }
}

fn alternative(name: &str) -> MatrixAlternative {
    MatrixAlternative {
        name: name.to_owned(),
        provider: String::new(),
        model: String::new(),
        reference: false,
        probe: Some(MatrixProbe { source: "probe.json".to_owned() }),
    }
}

fn check(leaving: &Leaving, expected: ExpectFile) -> ExitPlan {
    let plan = exit_plan(leaving);
    expected.assert_eq(&plan.markdown());
    // What is missing says what would supply it, and every item of Art. 10 names a section there is.
    assert!(plan.missing().all(|(_, missing)| !missing.what.is_empty() && !missing.supply.is_empty()));
    for item in &plan.items {
        assert!((1..=plan.sections.len()).contains(&item.section), "{}", item.asks);
        assert_ne!(item.evidence.is_some(), item.supply.is_some(), "{}", item.asks);
    }
    plan
}

fn item<'p>(plan: &'p ExitPlan, asks: &str) -> &'p Item {
    plan.items.iter().find(|item| item.asks == asks).unwrap()
}

#[test]
fn a_plan_of_a_route_that_nobody_rehearsed_says_what_is_missing() {
    let plan = check(&bare(), expect_file!["fixtures/bare.md"]);
    assert!(plan.missing().any(|(_, missing)| missing.supply == "`crossfade exit drill chat --to own`"));
    assert_eq!(item(&plan, "tested periodically").evidence, None);
    assert!(plan.headline.contains("it was never rehearsed"), "{}", plan.headline);
}

#[test]
fn a_plan_with_everything_shows_the_drills_figures() {
    let plan = check(&whole(), expect_file!["fixtures/whole.md"]);
    for part in ["12 ms", "8.5 ms", "31.4 s", "0123456789ab", "0 of 240 requests failed", "2 of 240 requests"] {
        assert!(plan.markdown().contains(part), "{part}");
    }
    let open: Vec<&str> = plan.items.iter().filter(|item| item.evidence.is_none()).map(|item| item.asks).collect();
    assert_eq!(open, ["feasible"], "no benchmark says that the alternative holds the load");
}

#[test]
fn a_drill_that_failed_is_no_proof_and_both_counts_of_failures_are_told() {
    let mut leaving = whole();
    let check = &mut leaving.drills[0].checks[0];
    (check.holds, check.measured) = (false, "7.1 s".to_owned());
    leaving.drills[0].verdict = Some("fail".to_owned());
    leaving.drills[0].away.fell_back = 5;
    // An undecided one after it changes nothing.
    leaving.drills.insert(0, ExitDrill { verdict: Some("undecided".to_owned()), ..drill() });
    let plan = exit_plan(&leaving);
    assert!(plan.drill_failed);
    let both = "(fail, the switch took 12 ms, callers failed 0 of 240; the alternative failed 5)";
    assert!(plan.headline.contains(both), "{}", plan.headline);
    assert!(plan.markdown().contains("| 240 | 0 (alternative 5) |"), "{}", plan.markdown());
    let tested = item(&plan, "tested periodically");
    let supply = tested.supply.as_ref().unwrap();
    assert_eq!(tested.evidence, None);
    assert!(
        supply.starts_with("the drill of 2024-10-02 did not pass: one that does, `crossfade exit drill"),
        "{supply}"
    );
    assert_eq!(item(&plan, "plausible scenarios").evidence, None);
    assert!(plan.markdown().contains("Did not hold: time to switch was 7.1 s, must be at most 5.0 s."));
}

#[test]
fn a_drill_to_another_target_says_nothing_of_this_one() {
    let mut leaving = whole();
    leaving.drills[0].to = "another".to_owned();
    assert!(exit_plan(&leaving).headline.contains("it was never rehearsed"));
}

#[test]
fn a_drill_without_a_verdict_was_one_all_the_same() {
    let mut leaving = whole();
    leaving.drills[0].verdict = None;
    let headline = exit_plan(&leaving).headline;
    assert!(headline.contains("which came to no verdict") && !headline.contains("never rehearsed"), "{headline}");
}

#[test]
fn a_schedule_that_the_contract_does_not_leave_time_for_is_no_evidence() {
    let mut leaving = whole();
    leaving.people.as_mut().unwrap().1.decommission_days = Some(200);
    let plan = exit_plan(&leaving);
    let fits = item(&plan, "a schedule that fits the terms of exit and termination");
    assert_eq!(fits.evidence, None);
    assert!(fits.supply.as_ref().unwrap().contains("it takes 201 days and the contract leaves 120"));
}

#[test]
fn a_review_that_is_overdue_and_a_drill_that_is_old_are_missing() {
    let mut leaving = whole();
    leaving.people.as_mut().unwrap().1.review.last = Some(Date(19_000));
    leaving.drills[0].at_us = NOW_US - 200 * DAY_US;
    let plan = exit_plan(&leaving);
    assert_eq!(item(&plan, "reviewed periodically").evidence, None);
    assert_eq!(item(&plan, "tested periodically").evidence, None);
    assert!(plan.missing().any(|(_, missing)| missing.what.starts_with("a review: it was due on ")));
}

#[test]
fn a_contract_that_ended_and_a_review_that_is_still_to_come_are_missing_and_no_evidence() {
    let mut leaving = whole();
    let people = &mut leaving.people.as_mut().unwrap().1;
    (people.contract.ends, people.review.last) = (Some(Date(19_999)), Some(Date(40_000)));
    let plan = exit_plan(&leaving);
    for asks in [
        "a documented plan for this contract",
        "reviewed periodically",
        "a schedule that fits the terms of exit and termination",
    ] {
        assert_eq!(item(&plan, asks).evidence, None, "{asks}");
    }
    let missing: Vec<&str> = plan.missing().map(|(_, missing)| missing.what.as_str()).collect();
    for what in [
        "a contract that is in force: this one ended on 2024-10-03",
        "a review: the last one is of 2079-07-08, a day to come",
    ] {
        assert!(missing.contains(&what), "{missing:?}");
    }
    assert!(!plan.markdown().contains("Notice for the end"), "{}", plan.markdown());

    // Today is neither.
    let today = leaving.today();
    let people = &mut leaving.people.as_mut().unwrap().1;
    (people.contract.ends, people.review.last) = (Some(today), Some(today));
    let plan = exit_plan(&leaving);
    assert!(item(&plan, "reviewed periodically").evidence.is_some());
    assert!(item(&plan, "a documented plan for this contract").evidence.is_some());
}

#[test]
fn what_was_rehearsed_with_made_up_answers_is_said_to_be_so() {
    let mut leaving = whole();
    leaving.drills[0].simulated = true;
    let plan = exit_plan(&leaving);
    assert!(
        plan.headline.contains("last rehearsed on") && plan.headline.contains("(SIMULATED, pass"),
        "{}",
        plan.headline
    );
    assert!(!exit_plan(&whole()).headline.contains("SIMULATED"));
    assert!(plan.simulated && plan.markdown().contains("SIMULATED: evidence of this plan"));
    assert!(plan.missing().any(|(_, missing)| missing.what == "a rehearsal with the real providers"));
    let tested = item(&plan, "tested periodically");
    assert_eq!(tested.evidence, None);
    assert!(tested.supply.as_ref().unwrap().contains("was of SIMULATED providers: one with the real ones"));
    assert_eq!(item(&plan, "plausible scenarios").evidence, None);
}

#[test]
fn of_alternatives_that_are_as_good_the_plans_own_is_named_and_requests_stand_there_where_some_are_known() {
    let mut leaving = whole();
    let cell = |name: &str, standing: &str, risk: &str| MatrixCell {
        alternative: name.to_owned(),
        standing: standing.to_owned(),
        repaired: false,
        effort: "small".to_owned(),
        risk: risk.to_owned(),
    };
    let row = &mut leaving.replacements.as_mut().unwrap().rows[0];
    row.best = Some("bge".to_owned());
    row.cells = vec![cell("bge", "equivalent", "low"), cell("own", "equivalent", "medium")];
    let text = |leaving: &Leaving| exit_plan(leaving).markdown();
    assert!(text(&leaving).contains("| tool calls | 300 | own | equivalent | small | medium |"));
    let rows = &mut leaving.replacements.as_mut().unwrap().rows;
    rows[0].cells[1] = cell("own", "degraded", "medium");
    rows.iter_mut().for_each(|row| row.requests = 0);
    let said = text(&leaving);
    assert!(said.contains("| tool calls | bge | equivalent | small | low |"), "what is better is named: {said}");
    assert!(said.contains("| used | best alternative | standing | effort | risk |"), "{said}");
}

#[test]
fn only_the_cell_of_a_verdict_has_a_badge() {
    let mut leaving = whole();
    let what = "essential capabilities that the alternative has not".to_owned();
    leaving.drills[0].checks =
        vec![DrillCheck { what, measured: "none".to_owned(), target: "none".to_owned(), holds: true }];
    let page = exit_plan(&leaving).html();
    let row = "has not</td><td>none</td><td>none</td><td><span class=\"s pass\">yes</span></td>";
    assert!(page.contains(row), "{page}");
    assert!(page.contains("<span class=\"s fail\">none</span>"), "a standing is a verdict");
    assert!(page.contains("<span class=\"s not_run\">not run</span>"));
}

#[test]
fn no_word_of_a_person_makes_a_tag_or_a_cell() {
    let mut leaving = whole();
    leaving.people.as_mut().unwrap().1.function = Some("<b>x</b> | y\nz".to_owned());
    let plan = exit_plan(&leaving);
    assert!(!plan.html().contains("<b>x") && plan.html().contains("&lt;b&gt;x"));
    assert!(plan.markdown().contains("&lt;b>x&lt;/b> \\| y z"));
}

#[test]
fn a_matrix_of_another_server_is_said_and_is_missing() {
    let mut leaving = whole();
    let said = |leaving: &Leaving| exit_plan(leaving).markdown();
    let same = said(&leaving);
    assert!(same.contains("Measured against `own` (by probe.json)") && !same.contains("WARNING"), "{same}");
    leaving.replacements.as_mut().unwrap().alternatives = vec![alternative("another")];
    let other = said(&leaving);
    assert!(other.contains("Measured against `another` (by probe.json)"), "{other}");
    assert!(other.contains("WARNING: the matrix was not made with `own`"), "{other}");
    assert!(other.contains("crossfade inventory matrix PATH… --target own --conformance probe.json"), "{other}");
    let own = MatrixAlternative { model: "small".to_owned(), ..alternative("own") };
    leaving.replacements.as_mut().unwrap().alternatives = vec![own];
    assert!(said(&leaving).contains("WARNING: the matrix knew `own` with the model small"), "{}", said(&leaving));
}

#[test]
fn each_thing_that_is_missing_names_the_command_or_the_place_that_supplies_it() {
    for (_, missing) in exit_plan(&bare()).missing() {
        assert!(missing.supply.contains("`crossfade ") || missing.supply.starts_with("`--to"), "{missing:?}");
        let is_of_a_plan =
            !missing.supply.contains("`crossfade exit plan`") && !missing.supply.contains("`crossfade report --");
        assert!(is_of_a_plan, "the command can be typed as it stands: {missing:?}");
    }
}

#[test]
fn an_export_of_ones_own_record_is_none_of_what_the_vendor_holds() {
    let lacks = |leaving: &Leaving| {
        exit_plan(leaving).missing().any(|(_, missing)| missing.what == "an export of what the vendor holds")
    };
    let mut leaving = whole();
    assert!(!lacks(&leaving));
    leaving.export.as_mut().unwrap().source = RECORD_ALONE.to_owned();
    assert!(lacks(&leaving));
    assert!(exit_plan(&leaving).markdown().contains("the record alone in export"), "it is shown all the same");
    leaving.export = None;
    assert!(lacks(&leaving));
}
