//! Which beginning of a prompt a replay takes from which earlier prompt, so that a cache of prompts finds as much in the replay as it found on record.
//!
//! On record is how many tokens of a prompt came from a cache, not what they were. A prompt's beginning of that length is therefore taken from an earlier
//! prompt that is long enough: the latest of the same unit, else the latest of anybody (a system prompt that all have in common). What follows it is its
//! own, so that no more is found either. What a server had cached of its own answer, or from before the record begins, nobody can repeat: it is made up
//! the first time, and found from then on.

use std::collections::HashMap;
use std::sync::Arc;

/// The stream of words that stands for what was there before the record begins.
const BEFORE: u64 = 0;

/// Where the words of a prompt are from: one stream of words after the other, each up to this place of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage(Arc<[(u64, u64)]>);

impl Lineage {
    /// A prompt of so many words that has nothing in common with any other: `number` is its place in the record.
    #[must_use]
    pub fn alone(number: usize, n: u64) -> Lineage {
        Lineage(Arc::from([(own(number), n)]))
    }

    /// Each stream with the places of the prompt, from and up to, that its words at the same places fill.
    pub fn spans(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let begins = std::iter::once(0).chain(self.0.iter().map(|(_, until)| *until));
        self.0.iter().zip(begins).map(|(&(stream, until), from)| (stream, from, until))
    }

    /// Its first `n` words; where it is shorter, its own stream goes on.
    fn beginning(&self, number: usize, n: u64) -> Vec<(u64, u64)> {
        let mut cut: Vec<(u64, u64)> =
            self.spans().filter(|(_, from, _)| *from < n).map(|(stream, _, until)| (stream, until.min(n))).collect();
        if cut.last().is_none_or(|(_, until)| *until < n) {
            cut.push((own(number), n));
        }
        cut
    }
}

fn own(number: usize) -> u64 {
    number as u64 + 1
}

/// Prompts so far, by length: the latest that is long enough is found from the end.
#[derive(Default)]
struct Earlier(Vec<(u64, usize)>);

impl Earlier {
    /// The latest that is at least so long, else the longest.
    fn find(&self, n: u64) -> Option<(u64, usize)> {
        self.0.iter().rev().find(|(length, _)| *length >= n).or(self.0.first()).copied()
    }

    fn add(&mut self, length: u64, number: usize) {
        while self.0.last().is_some_and(|(last, _)| *last <= length) {
            self.0.pop();
        }
        self.0.push((length, number));
    }
}

/// The lineages of requests in the order in which they came: of each the words of its prompt, how many of them came from a cache, and whose it is.
#[must_use]
pub fn lineages(requests: &[(u64, u64, u64)]) -> Vec<Lineage> {
    let (mut all, mut units) = (Earlier::default(), HashMap::<u64, Earlier>::new());
    let mut found: Vec<Lineage> = Vec::with_capacity(requests.len());
    for (number, &(n, shared, unit)) in requests.iter().enumerate() {
        let shared = shared.min(n);
        let of_unit = units.entry(unit).or_default();
        let candidates = [all.find(shared), of_unit.find(shared)];
        // Of two that have as much of it, that of the same unit.
        let parent = candidates.into_iter().flatten().max_by_key(|(length, _)| (*length).min(shared));
        let mut words = match parent {
            _ if shared == 0 => Vec::new(),
            Some((_, parent)) => found[parent].beginning(parent, shared),
            None => vec![(BEFORE, shared)],
        };
        if n > shared {
            words.push((own(number), n));
        }
        found.push(Lineage(Arc::from(words)));
        all.add(n, number);
        of_unit.add(n, number);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(requests: &[(u64, u64, u64)]) -> Vec<Vec<(u64, u64, u64)>> {
        lineages(requests).iter().map(|lineage| lineage.spans().collect()).collect()
    }

    #[test]
    fn a_conversation_begins_with_what_it_said_before_and_strangers_with_what_all_are_told() {
        let found = spans(&[(100, 0, 7), (120, 50, 8), (250, 100, 7), (300, 240, 7), (60, 0, 8)]);
        assert_eq!(found[0], [(1, 0, 100)]);
        // Nobody of unit 8 was there: the first 50 words are those of the first prompt.
        assert_eq!(found[1], [(1, 0, 50), (2, 50, 120)]);
        assert_eq!(found[2], [(1, 0, 100), (3, 100, 250)]);
        assert_eq!(found[3], [(1, 0, 100), (3, 100, 240), (4, 240, 300)]);
        assert_eq!(found[4], [(5, 0, 60)]);
    }

    #[test]
    fn what_nobody_can_repeat_is_made_up_once() {
        // More came from the cache than any prompt had: from before the record, or the answer in between.
        let found = spans(&[(80, 80, 1), (200, 150, 1), (400, 150, 1)]);
        assert_eq!(found[0], [(BEFORE, 0, 80)]);
        assert_eq!(found[1], [(BEFORE, 0, 80), (1, 80, 150), (2, 150, 200)]);
        assert_eq!(found[2], [(BEFORE, 0, 80), (1, 80, 150), (3, 150, 400)]);
    }
}
