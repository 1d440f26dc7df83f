//! Cohorts of a rollout and forced arms, seen from a request.

use std::sync::Arc;

use gateway::live::LiveRollout;
use gateway::snapshot::Cohort;
use gateway::snapshot::cohorts::slot;
use govern::{KeySpec, Routes};
use rollout::{Arm, Metric};
use routing::{HeaderIs, Pattern, When};
use scripted::{Script, Upstream, chat_completion};

use crate::client::Connection;
use crate::harness::{Gateway, PLAIN, Setup, rollout};

fn answering(words: &'static str) -> Upstream {
    Upstream::with(move |_| Script::json(chat_completion(words)))
}

/// A rollout of a cohort, or of what is in none.
fn of(cohort: Option<&str>, share: f64) -> Arc<LiveRollout> {
    let mut live = rollout(share, 0.0);
    if let Some((live, cohort)) = Arc::get_mut(&mut live).zip(cohort) {
        live.identity.name = format!("to-b@{cohort}");
    }
    live
}

fn cohort(name: &str, when: When, has_rollout: bool) -> Cohort {
    Cohort { name: name.to_owned(), when, slot: has_rollout.then(|| slot("gpt-4o", Some(name))) }
}

fn patterns(text: &str) -> Vec<Pattern> {
    Pattern::new(text).into_iter().collect()
}

fn served_by(gateway: &Gateway, headers: &[(&str, &str)]) -> String {
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", "/v1/chat/completions", headers, PLAIN.as_bytes());
    let answer = connection.answer().unwrap_or_else(|| panic!("no answer"));
    answer.header("x-crossfade-target").unwrap_or("nobody").to_owned()
}

fn n(live: &LiveRollout) -> u64 {
    let evidence = live.evidence();
    [Arm::Baseline, Arm::Candidate].map(|arm| evidence.arm(arm).tally(Metric::Error).n).iter().sum()
}

#[test]
fn each_cohort_has_a_share_and_evidence_of_its_own_and_the_first_that_holds_is_a_requests() {
    let (a, b) = (answering("from a"), answering("from b"));
    let (eu, rest) = (of(Some("eu"), 1.0), of(None, 0.0));
    let mut setup = Setup::to(&[&a, &b]).with(&eu).with(&rest);
    let tier = HeaderIs { name: "x-tier".to_owned(), values: patterns("bank") };
    setup.cohorts = vec![
        cohort("denied", When { headers: vec![tier], ..When::default() }, false),
        cohort("eu", When { geographies: patterns("eu-*"), ..When::default() }, true),
        cohort("unstarted", When { tasks: patterns("summary"), ..When::default() }, true),
    ];
    let gateway = setup.start();
    let eu_header = ("x-crossfade-geography", "eu-west");
    assert_eq!(served_by(&gateway, &[eu_header]), "b");
    assert_eq!(served_by(&gateway, &[]), "a");
    assert_eq!(served_by(&gateway, &[eu_header, ("x-tier", "bank")]), "a", "the deny list stands first");
    assert_eq!(served_by(&gateway, &[("x-crossfade-task", "summary")]), "a");
    assert_eq!((n(&eu), n(&rest)), (1, 1), "what is in a cohort without a live rollout is nobody's evidence");
    // A rollback of one cohort leaves the others alone.
    eu.breaker_opened();
    assert_eq!(served_by(&gateway, &[eu_header]), "a");
    assert!(rest.view().watching);
}

#[test]
fn a_key_says_where_its_requests_are_from_and_no_header_says_otherwise() {
    let (a, b) = (answering("from a"), answering("from b"));
    let mut setup = Setup::to(&[&a, &b]).with(&of(Some("eu"), 1.0));
    setup.cohorts = vec![cohort("eu", When { geographies: patterns("eu"), ..When::default() }, true)];
    let gateway = setup.start();
    let from = |place: &str| KeySpec { routes: Routes::All, geography: Some(place.to_owned()), ..KeySpec::default() };
    let (eu, us) = (gateway.key("eu", from("eu"), None), gateway.key("us", from("us"), None));
    assert_eq!(served_by(&gateway, &[("api-key", &eu)]), "b");
    assert_eq!(served_by(&gateway, &[("api-key", &us), ("x-crossfade-geography", "eu")]), "a");
}

#[test]
fn a_key_that_may_says_which_arm_answers_and_that_is_no_evidence() {
    let (a, b) = (answering("from a"), answering("from b"));
    let live = of(None, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    let key = |name: &str, force_arm| {
        gateway.key(name, KeySpec { routes: Routes::All, force_arm, ..KeySpec::default() }, None)
    };
    let (tester, app) = (key("tester", true), key("app", false));
    assert_eq!(served_by(&gateway, &[("api-key", &tester), ("x-crossfade-arm", "candidate")]), "b");
    assert_eq!(served_by(&gateway, &[("api-key", &app), ("x-crossfade-arm", "candidate")]), "a");
    assert_eq!(served_by(&gateway, &[("x-crossfade-arm", "candidate")]), "a");
    assert_eq!(n(&live), 2, "the two that were assigned");
    let forced = gateway.exchanges(3).iter().filter(|one| one.exchange.forced).count();
    assert_eq!(forced, 1);
    // Thrown back is thrown back for everybody.
    let live = of(None, 0.5);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    let spec = KeySpec { routes: Routes::All, force_arm: true, ..KeySpec::default() };
    let tester = gateway.key("tester", spec, None);
    live.breaker_opened();
    assert_eq!(served_by(&gateway, &[("api-key", &tester), ("x-crossfade-arm", "candidate")]), "a");
}
