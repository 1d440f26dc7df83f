//! How many rows a batch has, by what the target makes of them: a little more after each that it took, half after one that was too much. So several copies into
//! one store come to share it, and a store that takes less than its book says is found out once and not with every batch.
//!
//! Additive increase and multiplicative decrease (Chiu and Jain 1989): of such rules those that share evenly in the end.

/// A batch that is taken makes the next one larger by this part of the most.
const STEPS: usize = 16;

/// The size of the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    now: usize,
    most: usize,
    least: usize,
}

/// What became of a batch of so many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The target took it.
    Taken(usize),
    /// It was too much at once.
    TooMuch(usize),
}

impl Width {
    /// As many rows as there may be, until the target says otherwise.
    #[must_use]
    pub fn new(most: usize) -> Width {
        let most = most.max(1);
        Width { now: most, most, least: most }
    }

    /// How many rows the next batch has.
    #[must_use]
    pub fn now(self) -> usize {
        self.now
    }

    /// The fewest that a batch has had to have; none where no batch was too much.
    #[must_use]
    pub fn least(self) -> Option<usize> {
        Some(self.least).filter(|least| *least < self.most)
    }

    /// The width after a batch. One that was smaller than it may be says nothing of larger ones; of several that were too much at once the size is halved once, since each is held against its own.
    #[must_use]
    pub fn after(self, outcome: Outcome) -> Width {
        let now = match outcome {
            Outcome::Taken(n_rows) if n_rows >= self.now => {
                self.most.min(self.now.saturating_add((self.most / STEPS).max(1)))
            }
            Outcome::Taken(_) => self.now,
            Outcome::TooMuch(n_rows) => self.now.min((n_rows / 2).max(1)),
        };
        Width { now, least: self.least.min(now), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(width: Width, outcomes: &[Outcome]) -> Width {
        outcomes.iter().fold(width, |width, outcome| width.after(*outcome))
    }

    #[test]
    fn too_much_halves_and_what_is_taken_adds_a_sixteenth_of_the_most() {
        let width = after(Width::new(160), &[Outcome::TooMuch(160)]);
        assert_eq!((width.now(), width.least()), (80, Some(80)));
        assert_eq!(after(width, &[Outcome::Taken(80), Outcome::Taken(90)]).now(), 100);
        assert_eq!(after(width, &[Outcome::Taken(80); 1000]).now(), 90);
        assert_eq!((0..1000).fold(width, |width, _| width.after(Outcome::Taken(width.now()))).now(), 160);
    }

    #[test]
    fn a_row_is_the_least_and_the_last_batch_of_a_page_makes_nothing_larger() {
        assert_eq!(after(Width::new(3), &[Outcome::TooMuch(3), Outcome::TooMuch(1)]).now(), 1);
        let width = after(Width::new(100), &[Outcome::TooMuch(100), Outcome::Taken(7)]);
        assert_eq!(width.now(), 50);
        assert_eq!(Width::new(0).now(), 1);
        assert_eq!(after(Width::new(9), &[Outcome::Taken(9)]).least(), None);
    }

    #[test]
    fn two_that_were_too_much_at_once_halve_it_once() {
        assert_eq!(after(Width::new(100), &[Outcome::TooMuch(100), Outcome::TooMuch(100)]).now(), 50);
    }

    /// The claim of the rule: two that begin apart and share a store that takes 100 rows at once come to the same.
    #[test]
    fn two_copies_that_share_a_store_come_to_share_it_evenly() {
        let (mut one, mut other) = (Width::new(160), after(Width::new(160), &[Outcome::TooMuch(20)]));
        for _ in 0..500 {
            let outcome = |n_rows| {
                if one.now() + other.now() > 100 { Outcome::TooMuch(n_rows) } else { Outcome::Taken(n_rows) }
            };
            (one, other) = (one.after(outcome(one.now())), other.after(outcome(other.now())));
        }
        assert!(one.now().abs_diff(other.now()) <= 10, "{one:?} {other:?}");
    }
}
