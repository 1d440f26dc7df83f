//! What the shadow copies, what it must not, what it may use, and what it finds out about pairs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::live::LiveRollout;
use gateway::shadow::{Meaning, Overload, ShadowBudget, ShadowSettings, Window};
use rollout::Comparison;
use scripted::{Script, Upstream, chat_completion, chat_stream};
use serde_json::json;
use store::ExchangeDetail;

use crate::client::{Answer, Connection, post};
use crate::harness::{Gateway, PLAIN, PROVIDER_KEY, STREAMED, Setup, rollout, rollout_to, until};

fn saying(words: &'static str) -> Upstream {
    Upstream::with(move |_| Script::json(chat_completion(words)))
}

fn sends(gateway: &Gateway, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", "/v1/chat/completions", headers, body.as_bytes());
    connection.answer().unwrap()
}

/// Every exchange, once all of them have as many pairs on record.
fn compared(gateway: &Gateway, n: usize, n_pairs: usize) -> Vec<ExchangeDetail> {
    until("the pairs on record", || gateway.exchanges(n).iter().all(|exchange| exchange.pairs.len() == n_pairs));
    gateway.exchanges(n)
}

fn settled(live: &LiveRollout) -> u64 {
    let evidence = live.evidence();
    evidence.coverage().complete + evidence.coverage().n_dropped()
}

#[test]
fn a_providers_own_tools_are_taken_out_of_a_copy() {
    let (a, b) = (saying("from a"), saying("from b"));
    let live = rollout(0.0, 1.0);
    let shadow = ShadowSettings { noise_duplicate: 1.0, ..ShadowSettings::default() };
    let gateway = Setup { shadow, ..Setup::to(&[&a, &b]).with(&live) }.start();
    let function = r#"{"type":"function","function":{"name":"f"}}"#;
    for tool in ["web_search", "code_interpreter", "file_search", "mcp"] {
        let tools = format!(r#"{{"model":"gpt-4o","messages":[],"tools":[{function},{{"type":"{tool}"}}]}}"#);
        assert_eq!(post(gateway.addr, &tools).status, 200);
    }
    until("four pairs", || live.evidence().comparisons().n == 4);
    for request in b.requests() {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["tools"], json!([{ "type": "function", "function": { "name": "f" } }]), "{body}");
        assert_eq!(body["store"], false);
    }
    assert_eq!(live.evidence().comparisons().altered, 4);
    assert!(live.evidence().comparisons().of(Comparison::Outcome).is_none(), "another request is no comparison");
    assert_eq!(a.requests().len(), 4, "nor is the baseline asked again without its tools");
    assert!(compared(&gateway, 4, 1).iter().all(|exchange| exchange.pairs[0].altered));
}

#[test]
fn what_goes_on_behind_its_answer_is_never_copied() {
    let (a, b) = (saying("from a"), saying("from b"));
    let live = rollout(0.0, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    assert_eq!(post(gateway.addr, r#"{"model":"gpt-4o","messages":[],"background":true}"#).status, 200);
    until("the drop", || live.evidence().coverage().dropped.get("side_effects") == Some(&1));
    assert_eq!(gateway.serving.totals().shadow_dropped["side_effects"], 1, "the metric says so too");
    assert!(b.requests().is_empty());
}

#[test]
fn no_credential_of_an_application_reaches_a_copy() {
    let (a, b) = (saying("from a"), saying("from b"));
    let live = rollout(0.0, 1.0);
    let shadow = ShadowSettings { noise_duplicate: 1.0, ..ShadowSettings::default() };
    let gateway = Setup { shadow, ..Setup::to(&[&a, &b]).with(&live) }.start();
    let secrets = [
        ("authorization", "Bearer sk-canary-caller"),
        ("x-api-key", "sk-canary-caller"),
        ("cookie", "session=sk-canary-caller"),
        ("openai-organization", "sk-canary-caller"),
    ];
    assert_eq!(sends(&gateway, &secrets, PLAIN).status, 200);
    until("a pair", || live.evidence().comparisons().n == 1);
    for request in a.requests().iter().chain(&b.requests()) {
        let leaked = request.headers.iter().find(|(_, value)| value.contains("sk-canary-caller"));
        assert_eq!(leaked, None);
        assert_eq!(request.header("authorization"), Some(format!("Bearer {PROVIDER_KEY}").as_str()));
    }
    assert_eq!((a.requests().len(), b.requests().len()), (2, 1));
}

#[test]
fn coverage_is_counted_by_size_task_and_kind_of_answer() {
    let (a, b) = (
        Upstream::with(|request| match request.text().contains("\"stream\":true") {
            true => Script::stream(chat_stream(&["x"], true)),
            false => Script::json(chat_completion("x")),
        }),
        saying("from b"),
    );
    let live = rollout(0.0, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    assert_eq!(sends(&gateway, &[("x-crossfade-task", "summary")], PLAIN).status, 200);
    let long = "y".repeat(5000);
    let labelled = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": long }], "metadata": { "task": "legal" } });
    assert_eq!(sends(&gateway, &[], &labelled.to_string()).status, 200);
    assert!(sends(&gateway, &[], STREAMED).whole);
    until("all settled", || settled(&live) == 3);
    let strata: Vec<(String, u64, u64)> = live
        .evidence()
        .coverage()
        .strata
        .iter()
        .map(|(name, stratum)| (name.clone(), stratum.sampled, stratum.complete))
        .collect();
    let expected = [("0k/-/stream", 1, 1), ("0k/summary/whole", 1, 1), ("4k/legal/whole", 1, 1)];
    assert_eq!(strata, expected.map(|(name, sampled, complete)| (name.to_owned(), sampled, complete)));
    let tasks: Vec<_> = compared(&gateway, 3, 1).iter().map(|exchange| exchange.pairs[0].task.clone()).collect();
    assert_eq!(tasks.iter().filter(|task| task.is_some()).count(), 2);
}

#[test]
fn every_pair_is_on_record_with_the_chance_it_was_drawn_with() {
    let (a, b) = (saying("from a"), saying("from b"));
    let live = rollout(0.0, 0.5);
    let shadow = ShadowSettings { task_samples: [("legal".to_owned(), 1.0)].into(), ..ShadowSettings::default() };
    let gateway = Setup { shadow, ..Setup::to(&[&a, &b]).with(&live) }.start();
    for _ in 0..40 {
        assert_eq!(sends(&gateway, &[], PLAIN).status, 200);
        assert_eq!(sends(&gateway, &[("x-crossfade-task", "legal")], PLAIN).status, 200);
    }
    until("all compared", || {
        let coverage = live.evidence().coverage().clone();
        coverage.strata["0k/legal/whole"].complete == 40 && live.evidence().comparisons().n == coverage.offered
    });
    until("all on record", || {
        let pairs: usize = gateway.exchanges(80).iter().map(|exchange| exchange.pairs.len()).sum();
        pairs as u64 == live.evidence().comparisons().n
    });
    let pairs: Vec<_> = gateway.exchanges(80).into_iter().flat_map(|exchange| exchange.pairs).collect();
    let chance = |task: Option<&str>| {
        let of: Vec<f64> =
            pairs.iter().filter(|pair| pair.task.as_deref() == task).map(|pair| pair.probability).collect();
        (of.len(), of.iter().all(|chance| *chance == of[0]), of[0])
    };
    assert_eq!(chance(Some("legal")), (40, true, 1.0));
    let (n, is_same, drawn_at) = chance(None);
    assert!((5..36).contains(&n) && is_same && drawn_at == 0.5, "{n}");
}

#[test]
fn answers_are_held_against_each_other_and_against_the_baselines_own() {
    let asked = AtomicUsize::new(0);
    // The baseline is of two minds about one of four fields.
    let a = Upstream::with(move |_| {
        let note = ["hello", "good day"][asked.fetch_add(1, Ordering::Relaxed) % 2];
        Script::json(chat_completion(&json!({ "id": "x1", "city": "Bern", "days": 3, "note": note }).to_string()))
    });
    let b =
        Upstream::with(|_| Script::json(chat_completion(r#"{"id":"x2","city":"Basel","days":3.0,"note":"hello"}"#)));
    let live = rollout(0.0, 1.0);
    let shadow = ShadowSettings { noise_duplicate: 1.0, ignore: vec!["id".to_owned()], ..ShadowSettings::default() };
    let gateway = Setup { shadow, ..Setup::to(&[&a, &b]).with(&live) }.start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    let exchange = compared(&gateway, 1, 1).remove(0);
    let pair = &exchange.pairs[0];
    let of = |kind: &str| pair.comparisons.iter().find(|comparison| comparison.kind == kind).unwrap();
    assert_eq!((of("json").distance, of("json").noise), (1.0 / 3.0, Some(1.0 / 3.0)));
    assert_eq!(of("json").detail.as_deref(), Some("1 of 3 fields: city"));
    assert_eq!((of("outcome").distance, of("finish").distance, of("refusal").noise), (0.0, 0.0, Some(0.0)));
    let roles: Vec<&str> = exchange.attempts.iter().map(|attempt| attempt.role.as_str()).collect();
    assert_eq!(roles, ["live", "shadow", "duplicate"]);
    assert_eq!(exchange.attempts[2].target.as_deref(), Some("a"));
    let copies = gateway.database.copy_bodies(exchange.exchange.id).unwrap();
    assert_eq!(copies.iter().map(|copy| copy.duplicate).collect::<Vec<_>>(), [false, true]);
    let seen = live.evidence().comparisons().of(Comparison::Json).copied().unwrap();
    assert_eq!((seen.n_excess(), seen.excess()), (1, Some(0.0)), "as far as the baseline is from itself");
    let totals = gateway.serving.shadow_totals();
    assert_eq!((totals.sent, totals.duplicates_sent, totals.duplicates_failed), (1, 1, 0));
    assert_eq!(live.evidence().arm(rollout::Arm::Baseline).tally(rollout::Metric::Error).n, 1, "no second request");
    until("nothing held", || gateway.serving.shadow_totals().bytes == 0);
}

#[test]
fn a_candidate_that_fails_where_the_baseline_answers_is_as_far_as_it_gets() {
    let (a, b) = (saying("from a"), Upstream::start(vec![Script::status(500)]));
    let live = rollout(0.0, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    let pair = compared(&gateway, 1, 1).remove(0).pairs.remove(0);
    let (kind, distance) = (pair.comparisons[0].kind.as_str(), pair.comparisons[0].distance);
    assert_eq!((kind, distance, pair.comparisons.len()), ("outcome", 1.0, 1));
    assert_eq!(pair.comparisons[0].detail.as_deref(), Some("answered / http_server_error"));
    assert!(live.evidence().breach().is_none(), "a distance is for triage");
}

#[test]
fn a_timeout_of_the_candidate_is_its_failure() {
    let (a, b) = (saying("from a"), Upstream::start(vec![Script::silent()]));
    let live = rollout(0.0, 1.0);
    let mut setup = Setup::to(&[&a, &b]).with(&live);
    setup = setup.timeouts(|timeouts| {
        timeouts.total = Duration::from_millis(100);
        timeouts.answer = None;
    });
    let gateway = setup.start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    until("the pair", || live.evidence().comparisons().n == 1);
    let evidence = live.evidence();
    let candidate = evidence.arm(rollout::Arm::Candidate);
    assert_eq!((candidate.tally(rollout::Metric::Timeout).bad, candidate.tally(rollout::Metric::Error).bad), (1, 1));
}

#[test]
fn gaps_between_the_pieces_of_streams_are_measured_on_the_shadows_side() {
    let paced = || {
        let pieces = chat_stream(&["a", "b", "c", "d"], true);
        pieces.into_iter().fold(Script::stream(Vec::<String>::new()), |script, piece| {
            script.piece_after(Duration::from_millis(3), piece)
        })
    };
    let (a, b) = (Upstream::start(vec![paced()]), Upstream::start(vec![paced()]));
    let live = rollout(0.0, 1.0);
    let shadow = ShadowSettings { noise_duplicate: 1.0, ..ShadowSettings::default() };
    let gateway = Setup { shadow, ..Setup::to(&[&a, &b]).with(&live) }.start();
    assert!(post(gateway.addr, STREAMED).whole);
    until("the pair", || live.evidence().comparisons().n == 1);
    let view = live.evidence().comparisons().view(0.05);
    let gaps = view.inter_token.unwrap();
    assert!(gaps.n == 3 && gaps.p50_us > 0, "{gaps:?}");
    assert_eq!(view.duplicate_inter_token.unwrap().n, 3);
    assert!(live.evidence().arm(rollout::Arm::Candidate).time_to_first_token.n() == 1);
    assert!(view.distances.iter().all(|distance| distance.mean == 0.0), "{view:?}");
}

#[test]
fn several_candidates_have_pairs_ledgers_and_draws_of_their_own() {
    let (a, b, c) = (saying("from a"), saying("from b"), Upstream::start(vec![Script::status(500)]));
    let (to_b, to_c) = (rollout_to("b", 0.0, 1.0), rollout_to("c", 0.0, 1.0));
    let gateway = Setup::to(&[&a, &b, &c]).with(&to_b).with(&to_c).start();
    for _ in 0..5 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
    }
    for live in [&to_b, &to_c] {
        until("five pairs each", || live.evidence().n_pairs() == 5 && live.evidence().comparisons().n == 5);
    }
    let bad = |live: &Arc<LiveRollout>| live.evidence().arm(rollout::Arm::Candidate).tally(rollout::Metric::Error).bad;
    assert_eq!((bad(&to_b), bad(&to_c)), (0, 5));
    assert_eq!((a.requests().len(), b.requests().len(), c.requests().len()), (5, 5, 5));
    let baseline =
        |live: &Arc<LiveRollout>| live.evidence().arm(rollout::Arm::Baseline).tally(rollout::Metric::Error).n;
    assert_eq!((baseline(&to_b), baseline(&to_c)), (5, 5), "both know what the baseline did");
    for exchange in compared(&gateway, 5, 2) {
        let of: Vec<&str> = exchange.pairs.iter().map(|pair| pair.rollout.as_str()).collect();
        assert_eq!(of, ["to-b", "to-c"]);
        assert_eq!(exchange.attempts.iter().filter(|attempt| attempt.role == "shadow").count(), 2);
    }
}

#[test]
fn a_contender_learns_from_what_the_serving_rollout_leaves_to_the_baseline() {
    let (a, b, c) = (saying("from a"), saying("from b"), saying("from c"));
    let (serving, contender) = (rollout_to("b", 0.5, 0.0), rollout_to("c", 0.0, 1.0));
    let gateway = Setup::to(&[&a, &b, &c]).with(&contender).with(&serving).start();
    for _ in 0..40 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
    }
    let on_baseline = a.requests().len();
    assert!((5..36).contains(&on_baseline), "{on_baseline}");
    until("a pair for each", || contender.evidence().n_pairs() == on_baseline as u64);
    assert_eq!((b.requests().len(), c.requests().len()), (40 - on_baseline, on_baseline));
}

#[test]
fn a_spent_budget_of_tokens_drops_and_says_why() {
    let (a, b) = (saying("from a"), saying("from b"));
    let live = rollout(0.0, 1.0);
    // Each answer counts twelve tokens.
    let budget = ShadowBudget { tokens_per_day: Some(24), in_flight: Some(1), ..ShadowBudget::default() };
    let gateway =
        Setup { shadow: ShadowSettings { budget, ..ShadowSettings::default() }, ..Setup::to(&[&a, &b]).with(&live) }
            .start();
    for n in 1..=5 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
        until("settled", || settled(&live) == n);
        until("landed", || gateway.serving.shadow_totals().in_flight == 0);
    }
    assert_eq!(b.requests().len(), 2);
    assert_eq!(live.evidence().coverage().dropped["budget_tokens"], 3);
    assert_eq!(live.evidence().coverage().strata["0k/-/whole"].dropped["budget_tokens"], 3);
}

#[test]
fn a_call_without_a_price_ends_a_budget_of_dollars() {
    let (a, b) = (saying("from a"), saying("from b"));
    let live = rollout(0.0, 1.0);
    let budget = ShadowBudget { nanos_per_day: Some(1_000_000_000), ..ShadowBudget::default() };
    let gateway =
        Setup { shadow: ShadowSettings { budget, ..ShadowSettings::default() }, ..Setup::to(&[&a, &b]).with(&live) }
            .start();
    for n in 1..=3 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
        until("settled", || settled(&live) == n);
    }
    assert_eq!((b.requests().len(), live.evidence().coverage().dropped["budget_dollars"]), (1, 2));
}

#[test]
fn an_overloaded_machine_copies_nothing_and_callers_do_not_notice() {
    let (a, b) = (saying("from a"), saying("from b"));
    let live = rollout(0.0, 1.0);
    let mut setup = Setup::to(&[&a, &b]).with(&live);
    // Every look finds more than none.
    setup.size.shadow.overload = Some(Overload { lag: Duration::from_secs(60), cpu: -1.0 });
    let gateway = setup.start();
    until("the governor looked", || gateway.serving.shadow_totals().overloads == 1);
    for _ in 0..3 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
    }
    until("three drops", || live.evidence().coverage().dropped.get("overload") == Some(&3));
    assert!(b.requests().is_empty());
}

#[test]
fn results_of_tools_make_a_pair_teacher_forced() {
    let (a, b) = (saying("from a"), saying("from b"));
    let live = rollout(0.0, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    let step = r#"{"model":"gpt-4o","messages":[{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"3"}]}"#;
    assert_eq!(post(gateway.addr, step).status, 200);
    let quoted = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"what is a \"tool_call_id\"?"}]}"#;
    assert_eq!(post(gateway.addr, quoted).status, 200);
    until("two pairs", || live.evidence().comparisons().n == 2);
    assert_eq!(live.evidence().comparisons().teacher_forced, 1);
}

/// A window that is always open.
const ALWAYS: Window = Window { from: 0, to: 24 * 60, utc_offset: 0 };

/// One that is shut now, and for hours.
fn shut() -> Window {
    let minutes = gateway::live::now().0 / 60_000_000 % (24 * 60);
    let from = u16::try_from((minutes + 12 * 60) % (24 * 60)).unwrap();
    Window { from, to: (from + 1) % (24 * 60), utc_offset: 0 }
}

#[test]
fn requests_are_copied_later_from_the_record_and_each_once() {
    let a = Upstream::with(|_| Script::json(chat_completion(r#"{"city":"Bern"}"#)));
    let b = Upstream::with(|_| Script::json(chat_completion(r#"{"city":"Basel"}"#)));
    let live = rollout(0.0, 1.0);
    let shadow = ShadowSettings { deferred: Some(shut()), ..ShadowSettings::default() };
    let gateway = Setup { shadow, ..Setup::to(&[&a, &b]).with(&live) }.start();
    for _ in 0..5 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
    }
    let waiting = |gateway: &Gateway| gateway.database.deferred_counts("to-b", 1).unwrap();
    until("five wait", || gateway.exchanges(5).len() == 5 && waiting(&gateway).waiting == 5);
    assert!(b.requests().is_empty());
    // Another process takes up what this one wrote down, in the middle of its copies.
    let mut snapshot = (**gateway.snapshot.load()).clone();
    let mut settings = (*snapshot.rollouts["to-b"]).clone();
    settings.shadow.deferred = Some(ALWAYS);
    snapshot.rollouts.insert("to-b".to_owned(), Arc::new(settings));
    gateway.reload(snapshot).unwrap();
    let second = gateway.with_an_empty_memory();
    until("five pairs", || live.evidence().comparisons().n == 5);
    assert_eq!(b.requests().len(), 5, "two processes on one store make no copy twice");
    let exchanges = compared(&second, 5, 1);
    assert!(exchanges.iter().all(|exchange| exchange.pairs[0].deferred && exchange.pairs[0].comparisons.len() == 4));
    until("nothing waits", || waiting(&second) == store::DeferredCounts::default());
    let evidence = live.evidence();
    let candidate = evidence.arm(rollout::Arm::Candidate);
    assert_eq!(candidate.tally(rollout::Metric::Error).n, 5, "quality counts");
    assert_eq!(candidate.tally(rollout::Metric::Timeout).n, 0, "latency does not");
    assert_eq!((candidate.duration.n(), candidate.time_to_first_token.n()), (0, 0));
    assert_eq!(evidence.comparisons().view(0.05).deferred, 5);
    assert_eq!(evidence.comparisons().of(Comparison::Json).unwrap().mean(), Some(1.0));
}

#[test]
fn what_was_taken_by_a_process_that_died_is_interrupted_and_not_made_again() {
    let (a, b) = (saying("from a"), saying("from b"));
    let live = rollout(0.0, 1.0);
    let shadow = ShadowSettings { deferred: Some(shut()), ..ShadowSettings::default() };
    let gateway = Setup { shadow, ..Setup::to(&[&a, &b]).with(&live) }.start();
    for _ in 0..3 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
    }
    until("three wait", || {
        gateway.exchanges(3).len() == 3 && gateway.database.deferred_counts("to-b", 1).unwrap().waiting == 3
    });
    // It died between this and the record of the copy.
    let first = gateway.database.deferred("to-b", 1, 1).unwrap()[0].drawn.id;
    // Taken while this one runs: only the next finds that nobody will go on with it.
    let now_us = gateway::live::now().0;
    assert_eq!(gateway.database.take_deferred("to-b", &[first], now_us).unwrap(), [first]);
    assert_eq!(gateway.database.take_deferred("to-b", &[first], now_us).unwrap(), [], "once for good");
    let second = gateway.with_an_empty_memory();
    until("interrupted", || live.evidence().coverage().dropped.get("interrupted") == Some(&1));
    until("two left", || second.database.deferred_counts("to-b", 1).unwrap().waiting == 2);
    assert!(b.requests().is_empty());
    let dropped = || second.database.pair_counts(&store::ExchangeFilter::default()).unwrap().dropped;
    until("on record", || second.exchanges(3).len() == 3 && dropped().get("interrupted") == Some(&1));
}

#[test]
fn meanings_are_compared_by_a_target_that_makes_embeddings() {
    let (a, b) = (saying("The capital is Bern."), saying("Bern it is."));
    // The first text, then what is at a right angle to it, then nearly the first again.
    let c = Upstream::with(|_| {
        Script::json(
            r#"{"object":"list","model":"m","data":[{"index":0,"embedding":[1,0]},{"index":1,"embedding":[0,1]},{"index":2,"embedding":[1,0]}],"usage":{"prompt_tokens":7,"total_tokens":7}}"#,
        )
    });
    let live = rollout(0.0, 1.0);
    let meaning =
        Meaning { target: "c".to_owned(), sample: 1.0, nanos_per_day: None, tokens_per_day: Some(7), max_text: 1000 };
    let shadow = ShadowSettings { noise_duplicate: 1.0, meaning: Some(meaning), ..ShadowSettings::default() };
    let gateway = Setup { shadow, ..Setup::to(&[&a, &b, &c]).with(&live) }.start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    let exchange = compared(&gateway, 1, 1).remove(0);
    let found = exchange.pairs[0].comparisons.iter().find(|comparison| comparison.kind == "meaning").unwrap();
    assert_eq!((found.distance, found.noise), (0.5, Some(0.0)));
    let asked: serde_json::Value = serde_json::from_slice(&c.requests()[0].body).unwrap();
    assert_eq!(asked["input"], json!(["The capital is Bern.", "Bern it is.", "The capital is Bern."]));
    assert_eq!((asked["model"].as_str(), c.requests()[0].path.as_str()), (Some("model-c"), "/v1/embeddings"));
    let call = exchange.attempts.iter().find(|attempt| attempt.role == "meaning").unwrap();
    assert!(call.target.as_deref() == Some("c") && call.answer_bytes > 0, "the call is on record");
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    let spent: Vec<_> =
        compared(&gateway, 2, 1).into_iter().filter_map(|exchange| exchange.pairs[0].not_compared.clone()).collect();
    assert_eq!(spent, ["the budget for embeddings is spent"]);
    assert_eq!(c.requests().len(), 1);
}
