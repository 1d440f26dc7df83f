//! Simulated rollouts against what is known of them.

use std::collections::BTreeMap;

use rollout::simulate::{Chance, Ending, Fate, RecordedUnit, World, play, summary};
use rollout::traffic::Traffic;
use rollout::{Metric, MetricSet, Policy, Risk, Unit};

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
    world.recorded = vec![RecordedUnit { requests: vec![MetricSet::EMPTY; 4] }];
    let clean = play(&policy, &world, Chance::of(3, 0));
    assert_eq!(clean.ending, Ending::Completed, "nothing recorded was bad");
    world.effect.insert(Metric::Error, 0.3);
    assert_eq!(play(&policy, &world, Chance::of(3, 0)).ending, Ending::RolledBack);
}
