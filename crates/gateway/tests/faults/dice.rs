//! What a trial draws.

use std::ops::RangeInclusive;
use std::time::Duration;

/// SplitMix64 (Steele, Lea & Flood 2014): the same seed always draws the same.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to and without `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n as u64).unwrap()
    }

    pub fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    pub fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub fn ms(&mut self, range: RangeInclusive<usize>) -> Duration {
        Duration::from_millis(self.within(range) as u64)
    }

    /// Words, some of them outside ASCII.
    pub fn words(&mut self, n: usize) -> Vec<String> {
        let vocabulary = ["invoice", "träge", "日本語", "\u{1f980}", "late", "\u{e9}\u{301}", "order", " "];
        (0..n).map(|_| format!("{} ", self.of(&vocabulary))).collect()
    }

    /// The bytes in pieces of random size, up to `longest` each.
    pub fn pieces(&mut self, bytes: &[u8], longest: usize) -> Vec<Vec<u8>> {
        let mut rest = bytes;
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.within(1..=longest.min(rest.len())));
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces
    }
}
