//! What a row of the table is, and how it is played.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;
use crate::table::ROWS;
use crate::trial::Trial;

/// One row.
#[derive(Clone, Copy)]
pub struct Row {
    pub n: u8,
    /// What happens.
    pub fault: &'static str,
    /// What a caller sees of it.
    pub sees: &'static str,
    /// How answers end, and no other way: see [`crate::answers::ending`].
    pub answers: &'static [&'static str],
    /// What is on record of a request: its outcome, and its failure if it has one.
    pub records: &'static [&'static str],
    /// How many calls one request makes, at least and at most.
    pub calls: (usize, usize),
    /// Answers and records of these that 200 trials may do without.
    pub rare: &'static [&'static str],
    pub trial: fn(&mut Trial),
}

/// What the trials of a row saw.
#[derive(Default)]
pub struct Seen {
    pub answers: BTreeMap<String, usize>,
    pub records: BTreeSet<String>,
    pub calls: BTreeSet<usize>,
    /// How long an upstream was left running after its caller had gone.
    pub aborts: Vec<Duration>,
}

/// Trials of one process are played one after the other: they count the process's own sockets.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub fn is_slow() -> bool {
    std::env::var_os("CROSSFADE_SLOW_TESTS").is_some()
}

pub fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plays the row number `n`.
pub fn play(n: u8) {
    let _alone = alone();
    let row = ROWS.iter().find(|row| row.n == n).expect("a row of this number");
    let one = std::env::var("CROSSFADE_FAULT_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    let first = u64::from(n) * 1_000_000;
    // Of memory over time there is one trial, which is longer when tests may be slow.
    let n_trials = if n == 42 {
        1
    } else if is_slow() {
        200
    } else {
        5
    };
    let seeds = one.map_or(first..first + n_trials, |seed: u64| seed..seed + 1);
    let (began, mut seen) = (Instant::now(), Seen::default());
    let n_trials = seeds.end - seeds.start;
    for seed in seeds {
        clock::set(clock::Wall::Off(0));
        let played = catch_unwind(AssertUnwindSafe(|| (row.trial)(&mut Trial::new(row, seed, &mut seen))));
        if let Err(panic) = played {
            eprintln!("row {n}, {}: CROSSFADE_FAULT_SEED={seed} plays this trial again", row.fault);
            resume_unwind(panic);
        }
    }
    seen.aborts.sort();
    println!(
        "row {n}: {n_trials} trials in {:.1} s, answers {:?}, records {:?}, calls {:?}, longest abort {:?}",
        began.elapsed().as_secs_f64(),
        seen.answers,
        seen.records,
        seen.calls,
        seen.aborts.last(),
    );
    if is_slow() && one.is_none() {
        // What the page says happens, does.
        let is_common = |one: &&&str| !row.rare.contains(one);
        let answers = row.answers.iter().filter(is_common).find(|one| !seen.answers.contains_key(**one));
        let records = row.records.iter().filter(is_common).find(|one| !seen.records.contains(**one));
        assert_eq!((answers, records), (None, None), "row {n} names what does not happen");
        let (least, most) = row.calls;
        assert_eq!((seen.calls.first(), seen.calls.last()), (Some(&least), Some(&most)), "row {n}: {:?}", seen.calls);
    }
}
