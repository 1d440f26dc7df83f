//! Who is asked when, where several targets are asked in one run: all at every arrival, or in blocks of time whose order is drawn anew each time round.

use std::time::Duration;

use stats::random::Random;

/// Who is asked when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// Every target at every arrival; a closed loop has as many places for each.
    Each,
    /// One target at a time, each for so long; the order of each round is drawn from the seed.
    Blocks {
        /// How long a target's turn is.
        length: Duration,
        /// Decides the orders.
        seed: u64,
    },
}

impl Turns {
    /// The targets of arrival number `place` at this moment, each with the block that it belongs to.
    pub fn at(self, at: Duration, place: usize, n_targets: usize) -> impl Iterator<Item = (usize, usize)> {
        let (range, block) = match self {
            Turns::Each => (0..n_targets, place),
            Turns::Blocks { length, seed } => {
                let turn = at.as_nanos() / length.as_nanos().max(1);
                let round = turn / n_targets.max(1) as u128;
                let round = usize::try_from(round).unwrap_or(usize::MAX);
                let idx = usize::try_from(turn % n_targets.max(1) as u128).unwrap_or(0);
                let target = order(n_targets, seed, round)[idx];
                (target..target + 1, round)
            }
        };
        range.map(move |target| (target, block))
    }

    /// The target whose turn it is now, of those that take turns.
    #[must_use]
    pub fn now(self, at: Duration, n_targets: usize) -> Option<(usize, usize)> {
        match self {
            Turns::Each => None,
            Turns::Blocks { .. } => self.at(at, 0, n_targets).next(),
        }
    }

    /// Seconds of a window in which one target is asked.
    #[must_use]
    pub fn active_s(self, (begin, end): (Duration, Duration), target: usize, n_targets: usize) -> f64 {
        let Turns::Blocks { length, .. } = self else { return end.saturating_sub(begin).as_secs_f64() };
        let (mut at, mut active) = (begin, Duration::ZERO);
        while at < end {
            let turn = u32::try_from(at.as_nanos() / length.as_nanos().max(1)).unwrap_or(u32::MAX - 1);
            let next = (length * (turn + 1)).min(end);
            if self.now(at, n_targets).is_some_and(|(now, _)| now == target) {
                active += next - at;
            }
            at = next;
        }
        active.as_secs_f64()
    }
}

/// The order of a round (Fisher and Yates).
fn order(n_targets: usize, seed: u64, round: usize) -> Vec<usize> {
    let mut random = Random::new(seed.wrapping_add((round as u64).wrapping_mul(0x9e37_79b9)));
    let mut order: Vec<usize> = (0..n_targets.max(1)).collect();
    for idx in (1..order.len()).rev() {
        order.swap(idx, random.below(idx + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_every_target_once_in_an_order_of_its_own() {
        let turns = Turns::Blocks { length: Duration::from_secs(2), seed: 1 };
        let mut firsts = [0; 3];
        for round in 0..300_u64 {
            let of = |turn: u64| turns.now(Duration::from_secs((round * 3 + turn) * 2), 3).unwrap();
            let mut targets: Vec<usize> = (0..3).map(|turn| of(turn).0).collect();
            assert!((0..3).all(|turn| of(turn).1 == usize::try_from(round).unwrap()));
            firsts[targets[0]] += 1;
            targets.sort_unstable();
            assert_eq!(targets, [0, 1, 2]);
        }
        assert!(firsts.iter().all(|n| *n > 70), "{firsts:?}");
    }

    #[test]
    fn all_turns_together_are_the_window() {
        let window = (Duration::from_secs(3), Duration::from_secs(30));
        let turns = Turns::Blocks { length: Duration::from_secs(2), seed: 1 };
        let all: f64 = (0..2).map(|target| turns.active_s(window, target, 2)).sum();
        assert!((all - 27.0).abs() < 1e-9, "{all}");
        assert_eq!(Turns::Each.active_s(window, 1, 2), 27.0);
        assert_eq!(Turns::Each.at(window.0, 5, 2).collect::<Vec<_>>(), [(0, 5), (1, 5)]);
    }
}
