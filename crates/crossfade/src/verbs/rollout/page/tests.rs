use std::time::Duration;

use expect_test::expect_file;
use operations::rollouts::{ArmCosts, RolloutView};
use rollout::{
    Arm, Event, Evidence, Health, Metric, MetricSet, Outcome, PairOutcome, Policy, Risk, State, Timestamp, Why, apply,
    explain,
};
use store::{ArmCost, TransitionRow};

use super::{Look, fitted, render};

const START: Timestamp = Timestamp(1_795_000_000_000_000);

/// A rollout as `operations` would show it, led through events that the pure room really accepts.
struct Case {
    policy: Policy,
    state: State,
    evidence: Evidence,
    transitions: Vec<TransitionRow>,
    now: Timestamp,
}

impl Case {
    fn started() -> Case {
        let policy = Policy::template(Risk::Medium);
        let state = State::draft("support-to-qwen", "salt", "ann", ("gpt", "qwen"), &policy);
        let evidence = Evidence::begin(&policy, &state, None);
        let mut case = Case { policy, state, evidence, transitions: Vec::new(), now: START };
        case.happen(&Event::Start { actor: "ann".into() });
        case
    }

    fn happen(&mut self, event: &Event) {
        let (state, transition) = apply(&self.policy, &self.state, event, Some(&self.evidence), self.now).unwrap();
        if state.epoch != self.state.epoch {
            self.evidence = Evidence::begin(&self.policy, &state, Some(&self.evidence));
        }
        self.state = state;
        self.transitions.insert(
            0,
            TransitionRow {
                rollout: transition.rollout,
                generation: transition.generation,
                at_us: transition.at.0,
                from: transition.from,
                to: transition.to,
                from_share: transition.from_share,
                to_share: transition.to_share,
                epoch: transition.epoch,
                actor: transition.actor,
                event: transition.event,
                reason: transition.reason,
                evidence_json: transition.evidence_json,
                policy_hash: transition.policy_hash,
            },
        );
    }

    fn promoted(mut self) -> Case {
        self.now = self.now.plus(Duration::from_secs(3600));
        self.happen(&Event::ForcePromote { actor: "ann".into(), reason: "shadow ran last week".into() });
        self
    }

    /// `n` units, the candidate's with the given chance of an error in thousandths; the unit decides which.
    fn served(mut self, n: u64, candidate_bad_per_mille: u64) -> Case {
        self.now = self.now.plus(Duration::from_secs(90));
        for unit in 0..n {
            let arm = if unit % 20 == 0 { Arm::Candidate } else { Arm::Baseline };
            let per_mille = if arm == Arm::Candidate { candidate_bad_per_mille } else { 5 };
            let is_bad = (unit / 20 * 37 + unit) % 1000 < per_mille;
            self.evidence.count_key_source(if unit % 5 == 0 { "prefix" } else { "header" });
            let breach = self.evidence.observe(&Outcome {
                unit: unit.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                arm,
                admitted_at: self.now,
                at: self.now,
                observed: MetricSet::of(&[Metric::Error, Metric::Timeout, Metric::Format, Metric::ToolCall]),
                bad: if is_bad { MetricSet::of(&[Metric::Error]) } else { MetricSet::EMPTY },
                time_to_first_token_us: Some(180_000 + unit % 97 * 1000),
                duration_us: Some(900_000 + unit % 89 * 9000),
            });
            if let Some(breach) = breach {
                self.happen(&Event::Rollback { breach });
                break;
            }
        }
        self
    }

    fn paired(mut self, n: u64) -> Case {
        self.now = self.now.plus(Duration::from_secs(90));
        for unit in 0..n {
            let bad = |is_bad| if is_bad { MetricSet::of(&[Metric::Error]) } else { MetricSet::EMPTY };
            self.evidence.observe_pair(&PairOutcome {
                unit,
                admitted_at: self.now,
                at: self.now,
                observed: MetricSet::of(&[Metric::Error, Metric::Timeout, Metric::Format, Metric::ToolCall]),
                baseline_bad: bad(unit % 200 == 1),
                candidate_bad: bad(unit % 200 == 2),
                time_to_first_token_us: Some(150_000),
                duration_us: Some(700_000),
            });
        }
        self
    }

    fn check(self, expected: expect_test::ExpectFile) {
        let (view, now_us) = self.shown();
        expected.assert_eq(&render(&view, &Look { now_us, ..Look::default() }));
    }

    fn shown(self) -> (RolloutView, u64) {
        let Case { policy, state, evidence, mut transitions, now } = self;
        transitions.truncate(5);
        let cost = |requests, nanos, unknown| ArmCost { requests, known: requests, unknown, nanos };
        let explanation = explain(&policy, &state, &evidence, &Health::default(), now);
        let view = RolloutView {
            costs: ArmCosts { baseline: cost(400, 999_000_000, 0), candidate: cost(3, 1_000, 2) },
            name: state.name.clone(),
            route: "gpt-4o".into(),
            simulated: false,
            label: state.label(&policy),
            generation: state.generation,
            author: state.author.clone(),
            policy_hash: state.policy_hash.clone(),
            evidence_saved_at_us: Some(now.0 - 400_000),
            why: Why::of(&explanation, &evidence),
            revalidated: None,
            taken_over: false,
            candidate_is_target: false,
            explanation,
            transitions,
            probe: None,
            webhooks: Vec::new(),
            down: None,
            drill: None,
            exit_drill: None,
            judge: None,
        };
        (view, now.0)
    }
}

#[test]
fn shadow_waits_for_pairs() {
    Case::started().paired(700).check(expect_file!["tests/shadow.txt"]);
}

#[test]
fn canary_says_what_is_missing() {
    Case::started().promoted().served(3000, 5).check(expect_file!["tests/canary.txt"]);
}

#[test]
fn rolled_back_says_why_and_what_to_do() {
    Case::started().promoted().served(20_000, 80).check(expect_file!["tests/rolled_back.txt"]);
}

#[test]
fn aborted_says_by_whom() {
    let mut case = Case::started().paired(10);
    case.happen(&Event::Abort { actor: "ben".into(), reason: "vendor incident".into() });
    case.check(expect_file!["tests/aborted.txt"]);
}

#[test]
fn a_terminal_of_24_lines_shows_what_one_looks_for() {
    let (view, now_us) = Case::started().promoted().served(3000, 5).shown();
    let page = fitted(&view, &Look { now_us, ..Look::default() }, (80, 24));
    expect_file!["tests/watched.txt"].assert_eq(&page);
}

#[test]
fn what_waits_for_people_or_for_a_mended_server_is_not_said_to_go_on_by_itself() {
    let next = |case: Case, health: &Health| {
        let explanation = explain(&case.policy, &case.state, &case.evidence, health, case.now);
        let (view, now_us) = case.shown();
        let page = render(&RolloutView { explanation, ..view }, &Look { now_us, ..Look::default() });
        page.split_once("\nnext\n").unwrap().1.to_owned()
    };
    let well = Health::default();
    let mut canary = Case::started();
    canary.policy.steps[1].approvals = 2;
    let text = next(canary.promoted(), &well);
    let waits =
        "  nothing yet: when its gates pass it waits for 2 approvals (`rollout approve`); it goes back by itself";
    assert!(text.starts_with(waits), "{text}");

    let down = Health { candidate_breaker_open: true, ..Health::default() };
    let text = next(Case::started().paired(10), &down);
    assert!(text.starts_with("  waiting alone does not help while the candidate's circuit breaker is open"), "{text}");
    assert!(text.contains("\n  then it goes on by itself when nothing is missing"), "{text}");
    let mut lossy = Case::started().paired(10);
    (0..20).for_each(|_| lossy.evidence.count_shadow_drop("overload", "0k/-/whole", true));
    let text = next(lossy, &well);
    assert!(text.starts_with("  waiting alone does not help while copies are lost to overload"), "{text}");

    let mut paused = Case::started();
    paused.happen(&Event::Pause { actor: "ann".into(), reason: String::new() });
    let text = next(paused, &well);
    assert!(text.contains("rollout resume support-to-qwen --reason TEXT "), "{text}");
}

#[test]
fn a_candidate_that_is_down_and_a_gateway_that_is_gone_come_first() {
    let (mut view, now_us) = Case::started().paired(10).shown();
    view.down = Some(operations::rollouts::CandidateDown {
        since_us: START.0,
        kind: "connect".into(),
        words: "connection refused".into(),
        unreachable: true,
    });
    let notice = Some("no gateway answers".into());
    let shown = render(&view, &Look { now_us, config: Some("prod.yaml"), notice, ..Look::default() });
    let first: Vec<&str> = shown.lines().take(2).collect();
    assert_eq!(
        first,
        ["no gateway answers", "candidate unreachable: connection refused, breaker open since 11:06:40 UTC"]
    );
    assert!(shown.contains("  crossfade -c prod.yaml rollout abort support-to-qwen "), "{shown}");
}
