//! A replay against the record that it is of: the same load on a cache of prompts, and nothing of what was said.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use bench::arrivals::trace::{Recorded, of_record};
use bench::prompt::{Lengths, Maker, Source};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// A cache of prompts: it knows every beginning of every prompt that it has seen.
#[derive(Default)]
struct Cache(HashSet<u64>);

impl Cache {
    /// Words at the beginning of a prompt that it knew; now it knows all of them.
    fn takes<W: Hash>(&mut self, words: &[W]) -> u64 {
        let (mut hasher, mut n, mut is_known) = (DefaultHasher::new(), 0, true);
        for word in words {
            word.hash(&mut hasher);
            is_known &= !self.0.insert(hasher.finish());
            n += u64::from(is_known);
        }
        n
    }
}

/// One turn: whose it is, words that are added, tokens of the answer, and whether the cache had lost what it knew of it.
type Turn = (u64, u64, u64, bool);

/// Conversations that all begin with the same words, each of whose prompts has all that was said in it before: what is on record of them.
fn record(turns: &[Turn], n_system: u64, text: &str) -> Vec<Recorded> {
    let mut cache = Cache::default();
    let mut said: Vec<Vec<String>> = vec![(0..n_system).map(|word| format!("system {word}")).collect(); 8];
    let mut recorded = Vec::new();
    for (number, &(unit, n_words, output, is_lost)) in turns.iter().enumerate() {
        let conversation = &mut said[usize::try_from(unit).unwrap()];
        conversation.extend((0..n_words).map(|word| format!("{text} {number} {word}")));
        let known = cache.takes(conversation);
        let cached = if is_lost { 0 } else { known };
        recorded.push((number as u64 * 250_000, conversation.len() as u64, output, cached, unit));
    }
    recorded
}

/// The bodies of its replay.
fn replayed(recorded: &[Recorded]) -> Vec<String> {
    let source = Source::Synthetic { input: Lengths::Fixed(1), prefix: (0, 1) };
    let maker = Maker { source, output: None, extra: Map::new(), stream: true, ignore_eos: true, seed: 7 };
    let shapes = of_record(recorded).unwrap();
    let body = |(number, shape)| String::from_utf8(maker.make(number, "m", Some(shape)).body.to_vec()).unwrap();
    (0..).zip(&shapes).map(body).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cache_finds_as_much_in_a_replay_as_it_found_on_record(
        turns in prop::collection::vec((0_u64..8, 5_u64..80, 1_u64..200, prop::bool::weighted(0.15)), 60..160),
        n_system in 0_u64..300,
        text in "\\PC{8,30}",
        other in "\\PC{8,30}",
    ) {
        let recorded = record(&turns, n_system, &text);
        let bodies = replayed(&recorded);
        let mut cache = Cache::default();
        let (mut n_found, mut n_words) = (0, 0);
        for body in &bodies {
            let body: Value = serde_json::from_str(body).unwrap();
            let words: Vec<&str> = body["messages"][0]["content"].as_str().unwrap().split(' ').collect();
            (n_found, n_words) = (n_found + cache.takes(&words), n_words + words.len() as u64);
        }
        let on_record: u64 = recorded.iter().map(|request| request.3).sum();
        prop_assert_eq!(n_words, recorded.iter().map(|request| request.1).sum::<u64>());
        let (found, truth) = (n_found as f64 / n_words as f64, on_record as f64 / n_words as f64);
        // Two words of 64 are the same now and then.
        prop_assert!((found - truth).abs() <= 0.05 * truth + 0.01, "{} of {}", found, truth);
        // Whatever they said, it is the same replay: nothing of it can be in there.
        prop_assert_eq!(bodies, replayed(&record(&turns, n_system, &other)));
    }
}
