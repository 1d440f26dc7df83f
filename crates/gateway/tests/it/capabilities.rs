//! What a target's server is declared not to do: translated, refused or counted, and always on record.

use std::sync::Arc;

use rollout::{Arm, Metric};
use scripted::{Script, Upstream, chat_completion};
use wire::capability::{BackendKind, Capability, Profile, Treatment};

use crate::client::post;
use crate::harness::{Gateway, Setup, rollout, until};

/// The same with this server behind the first target.
fn kind(mut setup: Setup, target: usize, kind: BackendKind, overrides: &[(Capability, Treatment)]) -> Setup {
    let mut provider = (*setup.targets[target].provider).clone();
    provider.capabilities = Arc::new(Profile::with(kind, overrides));
    setup.targets[target].provider = Arc::new(provider);
    setup
}

fn reported(gateway: &Gateway) -> Vec<(String, String)> {
    let exchange = gateway.exchange();
    let changes = exchange.exchange.adaptations.as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    changes.iter().map(|change| (text(&change["field"]), text(&change["action"]))).collect()
}

fn counted(gateway: &Gateway, field: &str, action: &str) -> u64 {
    let totals = gateway.serving.totals();
    totals.adaptations.iter().filter(|(_, name, what, _)| name == field && *what == action).map(|row| row.3).sum()
}

const LIMITED: &str =
    r#"{"model":"gpt-4o","max_completion_tokens":8,"messages":[{"role":"user","content":"hi"}],"x":[1, 2]}"#;
const BIASED: &str = r#"{"model":"gpt-4o","logit_bias":{"5":1},"messages":[{"role":"user","content":"hi"}]}"#;

#[test]
fn a_field_is_renamed_for_the_server_that_ignores_it() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("hello"))]);
    let gateway = kind(Setup::to(&[&upstream]), 0, BackendKind::LlamaCppPython, &[]).start();
    assert_eq!(post(gateway.addr, LIMITED).status, 200);
    let expected = LIMITED.replace("gpt-4o", "model-a").replace("max_completion_tokens", "max_tokens");
    assert_eq!(upstream.requests()[0].text(), expected);
    assert!(reported(&gateway).contains(&("max_completion_tokens".into(), "renamed".into())));
    assert_eq!(counted(&gateway, "max_completion_tokens", "renamed"), 1);
}

#[test]
fn what_a_server_does_not_do_is_refused_before_it_is_called() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("hello"))]);
    let refuse = [(Capability::LogitBias, Treatment::Refuse)];
    let gateway = kind(Setup::to(&[&upstream]), 0, BackendKind::Generic, &refuse).start();
    let answer = post(gateway.addr, BIASED);
    assert_eq!(answer.status, 400);
    let error = answer.error();
    assert_eq!((&error["param"], &error["code"]), (&"logit_bias".into(), &"unsupported_parameter".into()));
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!(answer.header("x-crossfade-origin"), Some("crossfade"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(upstream.requests().len(), 0);
    assert!(reported(&gateway).contains(&("logit_bias".into(), "refused".into())));
    let exchange = gateway.exchange();
    assert_eq!((exchange.exchange.outcome.as_str(), exchange.exchange.status), ("failed", Some(400)));
    assert_eq!(exchange.attempts[0].measured.failure.as_deref(), Some("unsupported"));
    until("the refusal is counted", || counted(&gateway, "logit_bias", "refused") == 1);
}

#[test]
fn another_target_takes_what_the_first_refuses() {
    let (a, b) = (
        Upstream::start(vec![Script::json(chat_completion("from a"))]),
        Upstream::start(vec![Script::json(chat_completion("from b"))]),
    );
    let refuse = [(Capability::LogitBias, Treatment::Refuse)];
    let setup = kind(Setup::to(&[&a, &b]), 0, BackendKind::Generic, &refuse).falling_back_to(&["b"]);
    let gateway = setup.start();
    let answer = post(gateway.addr, BIASED);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("b")));
    assert_eq!((a.requests().len(), b.requests().len()), (0, 1));
}

#[test]
fn what_the_candidate_cannot_do_and_the_baseline_can_is_evidence_against_the_candidate() {
    let (a, b) = (
        Upstream::start(vec![Script::json(chat_completion("from a"))]),
        Upstream::start(vec![Script::json(chat_completion("from b"))]),
    );
    let refuse = [(Capability::LogitBias, Treatment::Refuse)];
    let live = rollout(1.0, 0.0);
    let gateway = kind(Setup::to(&[&a, &b]), 1, BackendKind::Generic, &refuse).with(&live).start();
    let answer = post(gateway.addr, BIASED);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")));
    let tally = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    assert_eq!((tally.n, tally.bad), (1, 1));
    assert_eq!(b.requests().len(), 0);
}

#[test]
fn a_copy_that_the_candidate_cannot_take_is_a_failed_half_of_its_pair() {
    let (a, b) = (
        Upstream::start(vec![Script::json(chat_completion("from a"))]),
        Upstream::start(vec![Script::json(chat_completion("from b"))]),
    );
    let refuse = [(Capability::LogitBias, Treatment::Refuse)];
    let live = rollout(0.0, 1.0);
    let gateway = kind(Setup::to(&[&a, &b]), 1, BackendKind::Generic, &refuse).with(&live).start();
    assert_eq!(post(gateway.addr, BIASED).status, 200);
    until("the copy is judged", || counted(&gateway, "logit_bias", "refused") == 1);
    until("the pair is settled", || live.evidence().coverage().offered == 1);
    assert_eq!(b.requests().len(), 0);
    assert_eq!(gateway.serving.shadow_totals().sent, 0, "nothing was sent");
    assert_eq!(gateway.serving.shadow_totals().failed, 1);
}
