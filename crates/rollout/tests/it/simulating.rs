//! Simulated rollouts against what is known of them.

use std::collections::BTreeMap;
use std::time::Duration;

use rollout::simulate::{
    Chance, Costs, Ending, Fate, Late, Latency, RecordedRequest, RecordedUnit, Spread, Told, World, play, summary,
};
use rollout::traffic::Traffic;
use rollout::{AbsolutePolicy, Metric, Objectives, Policy, Risk, Stage, Unit};

use crate::support::size;

fn world(policy: &Policy) -> World {
    let rates = BTreeMap::from([(Metric::Error, 0.01), (Metric::Format, 0.005)]);
    let mut world = World::plain(Traffic::even(20_000.0, 3.0, rates), policy);
    (world.size_spread, world.rate_spread, world.drift) = (1.5, 1.0, 0.5);
    world
}

fn fates(policy: &Policy, world: &World, seed: u64, n_runs: u64) -> Vec<Fate> {
    (0..n_runs).map(|run| play(policy, world, Chance::of(seed, run))).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let policy = Policy::template(Risk::Low);
    let text = |seed| serde_json::to_string(&fates(&policy, &world(&policy), seed, 3)).unwrap();
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn equals_get_to_full_and_an_outage_never_leaves_the_shadow() {
    let policy = Policy::template(Risk::Low);
    let mut world = world(&policy);
    let n_runs = size(12, 2000) as u64;
    let good = summary(&fates(&policy, &world, 5, n_runs), policy.steps.len(), false);
    println!("simulated equals: {:?} rolled back, {:?} days to full", good.rolled_back, good.days_to_full);
    assert!(good.rolled_back.interval.0 <= policy.alpha_harm, "{good:?}");
    assert!(good.completed.fraction >= 0.8, "{good:?}");
    world.effect.insert(Metric::Error, 0.5);
    let bad = summary(&fates(&policy, &world, 5, n_runs), policy.steps.len(), true);
    assert_eq!((bad.rolled_back.n, bad.rollbacks_by_step[0]), (n_runs, n_runs), "{bad:?}");
    assert!(bad.detection.unwrap().p95 < 2000.0, "{bad:?}");
}

#[test]
fn a_candidate_that_turns_bad_later_is_measured_from_there() {
    let policy = Policy::template(Risk::Low);
    let mut world = world(&policy);
    world.effect.insert(Metric::Error, 0.2);
    world.effect_after = 30_000;
    for fate in fates(&policy, &world, 9, 4) {
        assert_eq!(fate.ending, Ending::RolledBack);
        assert_eq!(fate.requests - fate.after_effect.unwrap(), 30_000);
        assert!(fate.candidate_after_effect.unwrap() <= fate.after_effect.unwrap());
    }
}

#[test]
fn recorded_units_are_drawn_as_they_were() {
    let policy = Policy::template(Risk::Low);
    let mut world = world(&policy);
    world.unit = Unit::Conversation;
    world.traffic.rates = BTreeMap::from([(Metric::Error, 0.0)]);
    world.recorded = vec![RecordedUnit { requests: vec![RecordedRequest::default(); 4] }];
    let clean = play(&policy, &world, Chance::of(3, 0));
    assert_eq!(clean.ending, Ending::Completed, "nothing recorded was bad");
    world.effect.insert(Metric::Error, 0.3);
    assert_eq!(play(&policy, &world, Chance::of(3, 0)).ending, Ending::RolledBack);
}

/// The low template with objectives, begun in canary: what is late there is late for users.
fn timed() -> Policy {
    let mut policy = Policy::template(Risk::Low);
    policy.objectives = Objectives { first_token: Some(Duration::from_secs(2)), total: Some(Duration::from_secs(30)) };
    policy
}

fn taking_time(candidate: f64, hangs: f64) -> Late {
    let seconds = Duration::from_secs;
    let latency = Latency {
        first_token: Some(Spread::with_p95(Duration::from_millis(500), Duration::from_millis(1500))),
        total: Some(Spread::with_p95(seconds(8), seconds(20))),
        candidate,
        hangs,
        timeout: seconds(600),
    };
    Late { latency: Some(latency), ..Late::default() }
}

#[test]
fn copies_that_come_to_nothing_keep_the_rollout_in_shadow() {
    let policy = Policy::template(Risk::Low);
    let lossy = |lost_copies| world(&policy).living(Late { lost_copies, ..Late::default() }, &policy);
    assert_eq!(play(&policy, &lossy(0.02), Chance::of(4, 0)).ending, Ending::Completed);
    let fate = play(&policy, &lossy(0.3), Chance::of(4, 0));
    assert_eq!((fate.ending, fate.step_idx), (Ending::Waiting, 0), "70 % of pairs are not the 90 % that are asked for");
}

#[test]
fn equals_that_take_time_get_to_full_and_a_candidate_that_takes_three_times_as_long_does_not() {
    let policy = timed();
    let fates = |candidate| {
        let world = world(&policy).living(taking_time(candidate, 0.0), &policy);
        fates(&policy, &world, 8, size(6, 500) as u64)
    };
    assert!(fates(1.0).iter().filter(|fate| fate.ending == Ending::Completed).count() >= 5);
    for fate in fates(3.0) {
        assert_eq!(fate.ending, Ending::RolledBack, "{fate:?}");
        assert!(matches!(fate.metric, Some(Metric::Slow | Metric::SlowFirstToken)), "{fate:?}");
    }
}

#[test]
fn answers_that_never_come_are_found_at_the_objective_and_not_at_the_timeout() {
    // Where users are served, and the candidate begins to hang in the middle of the step.
    let mut policy = timed();
    policy.steps.retain(|step| step.stage != Stage::Canary);
    policy.steps[1].min_duration = Duration::from_secs(86_400);
    let of = |objectives: Objectives| {
        let policy = Policy { objectives, ..policy.clone() };
        let mut world = world(&policy).living(taking_time(1.0, 1.0), &policy);
        world.effect_after = 22_000;
        let fate = play(&policy, &world, Chance::of(6, 0));
        assert_eq!((fate.ending, fate.step_idx), (Ending::RolledBack, 1), "{fate:?}");
        fate.after_effect.unwrap()
    };
    let (timed, blind) = (of(policy.objectives), of(Objectives::default()));
    // 600 s are 140 requests at 20 000 a day.
    assert!(timed + 60 < blind, "{timed} requests with objectives, {blind} without");
}

#[test]
fn at_nearly_all_of_the_traffic_a_limit_on_late_answers_finds_a_hang_at_the_objective() {
    let mut policy = timed();
    policy.holdback = 0.02;
    policy.steps.retain(|step| matches!(step.stage, Stage::Shadow | Stage::Full));
    let full = policy.steps.last_mut().unwrap();
    (full.share, full.min_duration) = (0.98, Duration::from_secs(10 * 86_400));
    let of = |slow: Option<f64>| {
        let late = slow.map(|limit| AbsolutePolicy { metric: Metric::Slow, limit, alpha: 1e-4 });
        let policy = Policy { absolute_late: late, ..policy.clone() };
        let mut world = world(&policy).living(taking_time(1.0, 1.0), &policy);
        world.effect_after = 22_000;
        let fate = play(&policy, &world, Chance::of(6, 0));
        assert_eq!((fate.ending, fate.step_idx), (Ending::RolledBack, 1), "{fate:?}");
        fate.after_effect.unwrap()
    };
    let (limited, compared) = (of(Some(0.5)), of(None));
    println!("a hang at a share of 0.98: {limited} requests with the limit, {compared} without");
    // 30 s are 7 requests at 20 000 a day, 600 s are 140.
    assert!(limited < 100 && limited + 40 < compared, "{limited} with the limit, {compared} without");
}

#[test]
fn users_who_complain_hours_later_throw_a_worse_candidate_back_and_equals_pass() {
    let mut policy = Policy::template(Risk::Low);
    policy.guards.iter_mut().for_each(|guard| guard.weight = if guard.metric == Metric::Feedback { 0.5 } else { 0.05 });
    let play_all = |rate: f64| {
        let signals = BTreeMap::from([(Metric::Feedback, Told { of: 0.2, delay: Duration::from_secs(2 * 3600) })]);
        let mut world = world(&policy).living(Late { signals, ..Late::default() }, &policy);
        world.traffic.rates.insert(Metric::Feedback, 0.05);
        world.effect.insert(Metric::Feedback, rate);
        fates(&policy, &world, 2, size(4, 500) as u64)
    };
    assert!(play_all(0.05).iter().all(|fate| fate.ending == Ending::Completed));
    for fate in play_all(0.5) {
        assert_eq!((fate.ending, fate.metric), (Ending::RolledBack, Some(Metric::Feedback)), "{fate:?}");
        assert!(fate.step_idx > 0, "copies have no users: {fate:?}");
    }
}

#[test]
fn a_candidate_that_is_dear_is_stopped_and_one_that_is_not_gets_to_full() {
    let policy = Policy::template(Risk::Low);
    let play_all = |ratio: f64| {
        let world = World { costs: Some(Costs { ratio, spread: 0.5 }), ..world(&policy) };
        fates(&policy, &world, 11, 8)
    };
    // The template allows one and a half times.
    for fate in play_all(3.0) {
        assert_eq!((fate.ending, fate.dear, fate.step_idx > 0), (Ending::Waiting, true, true), "{fate:?}");
    }
    let fair = play_all(1.2);
    assert!(fair.iter().all(|fate| !fate.dear), "{fair:?}");
    assert!(fair.iter().any(|fate| fate.ending == Ending::Completed), "{fair:?}");
    assert_eq!(summary(&play_all(3.0), policy.steps.len(), true).dear.n, 8);
}

#[test]
fn people_who_say_no_end_a_rollout_and_chance_is_the_same_where_nobody_does() {
    // Its drill is on file: nobody is asked before that.
    let policy = Policy::template(Risk::Medium);
    let play_all = |refusals: f64| fates(&policy, &World { refusals, ..world(&policy) }, 13, 6);
    let asked: Vec<bool> = play_all(0.0).iter().map(|fate| fate.step_idx > 2).collect();
    assert!(asked.iter().any(|asked| *asked), "the template asks people after canary");
    for (fate, was_asked) in play_all(1.0).iter().zip(asked) {
        assert_eq!((fate.ending == Ending::Refused, fate.step_idx <= 2), (was_asked, true), "{fate:?}");
    }
}
