//! What becomes of a batch that a store did not take: tried again, halved, or the end of the run.

use std::time::Duration;

/// Whose fault a failure is, and so what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The store is busy, away or slow: the same again later may go well.
    Transient,
    /// Nothing that is sent will go well: a wrong address, no permission, a full disk.
    Permanent,
    /// Something among the rows is what the store does not take.
    Poison,
}

/// A failure of a store.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {why}")]
pub struct Trouble {
    /// What helps.
    pub class: Class,
    /// What was being done, and to what.
    pub doing: String,
    /// What the store said.
    pub why: String,
    /// How long it asks to be left alone.
    pub after: Option<Duration>,
    /// Whether it was more than the store takes at once, so that less may go well: too large, too fast, or not done in time.
    pub is_too_much: bool,
}

impl Trouble {
    /// A failure that nothing helps against.
    pub fn permanent(doing: impl Into<String>, why: impl ToString) -> Trouble {
        Trouble::of(Class::Permanent, doing, why)
    }

    /// A failure that passes by itself.
    pub fn transient(doing: impl Into<String>, why: impl ToString) -> Trouble {
        Trouble::of(Class::Transient, doing, why)
    }

    /// A failure that lies in the rows.
    pub fn poison(doing: impl Into<String>, why: impl ToString) -> Trouble {
        Trouble::of(Class::Poison, doing, why)
    }

    /// A failure of a class.
    pub fn of(class: Class, doing: impl Into<String>, why: impl ToString) -> Trouble {
        Trouble { class, doing: doing.into(), why: why.to_string(), after: None, is_too_much: false }
    }

    /// The same, of what was too much at once if `is_so`.
    #[must_use]
    pub fn too_much(self, is_so: bool) -> Trouble {
        Trouble { is_too_much: is_so, ..self }
    }

    /// How long to wait, where it would be `drawn` if nobody asked for more.
    #[must_use]
    pub fn wait(&self, drawn: Duration) -> Duration {
        drawn.max(self.after.unwrap_or_default().min(LONGEST_WAIT))
    }
}

/// The longest that a store which asks to be left alone is waited for at once.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// How often the same batch is tried.
pub const MAX_TRIES: u32 = 8;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same again, after this long.
    Again(Duration),
    /// Each half by itself.
    Halves,
    /// Put the one row aside and go on.
    Aside,
    /// Stop; the run can be taken up again.
    Stop,
}

/// Decides after the `n_tries`-th failure of a batch of `n_rows`. `random` is from 0 to 1: waits are drawn from all of their span, so that many clients do
/// not come back at once.
#[must_use]
pub fn next(class: Class, n_tries: u32, n_rows: usize, random: f64) -> Next {
    match class {
        Class::Transient if n_tries < MAX_TRIES => {
            let most = Duration::from_millis(100 << n_tries.min(8));
            Next::Again(most.mul_f64(random.clamp(0.0, 1.0)))
        }
        Class::Transient | Class::Permanent => Next::Stop,
        Class::Poison if n_rows > 1 => Next::Halves,
        Class::Poison => Next::Aside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_waits_longer_each_time_and_gives_up_in_the_end() {
        assert_eq!(next(Class::Transient, 1, 100, 1.0), Next::Again(Duration::from_millis(200)));
        assert_eq!(next(Class::Transient, 4, 100, 0.5), Next::Again(Duration::from_millis(800)));
        assert_eq!(next(Class::Transient, MAX_TRIES, 100, 1.0), Next::Stop);
    }

    #[test]
    fn a_store_that_asks_for_a_longer_wait_gets_it_within_reason() {
        let drawn = Duration::from_millis(200);
        let asks = |seconds| Trouble { after: Some(Duration::from_secs(seconds)), ..Trouble::transient("x", "busy") };
        assert_eq!(Trouble::transient("x", "busy").wait(drawn), drawn);
        assert_eq!(asks(0).wait(drawn), drawn);
        assert_eq!(asks(7).wait(drawn), Duration::from_secs(7));
        assert_eq!(asks(86_400).wait(drawn), LONGEST_WAIT);
    }

    #[test]
    fn poison_is_halved_down_to_the_row_and_what_is_permanent_stops() {
        assert_eq!(next(Class::Poison, 1, 2, 0.0), Next::Halves);
        assert_eq!(next(Class::Poison, 1, 1, 0.0), Next::Aside);
        assert_eq!(next(Class::Permanent, 1, 1, 0.0), Next::Stop);
    }
}
