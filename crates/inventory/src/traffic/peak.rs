//! The busiest minute and the busiest hour of a stream of moments, in a fixed space.

use serde::Serialize;

/// How many came in the busiest window, and when it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Peak {
    /// Requests in it.
    pub requests: u64,
    /// Its first moment, in Unix microseconds.
    pub from_us: u64,
}

/// The busiest windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Peaks {
    /// The busiest 60 seconds; they begin at a whole second.
    pub minute: Peak,
    /// The busiest 60 minutes; they begin at a whole minute.
    pub hour: Peak,
}

/// A window of 60 steps that slides step by step.
#[derive(Debug, Clone)]
pub(super) struct Sliding {
    step_us: u64,
    counts: [u32; STEPS],
    /// The step that is counted in, from 1970 on.
    at: u64,
    within: u64,
    most: Peak,
}

const STEPS: usize = 60;

impl Sliding {
    pub(super) fn new(step_us: u64) -> Sliding {
        Sliding { step_us, counts: [0; STEPS], at: 0, within: 0, most: Peak::default() }
    }

    /// Counts a moment. Moments come in order but for a little: one that is late counts where it belongs while the window still has the place,
    /// else at its oldest end.
    pub(super) fn add(&mut self, at_us: u64) {
        let step = at_us / self.step_us;
        if step > self.at {
            let passed = step - self.at;
            for step in self.at + 1..=self.at + passed.min(STEPS as u64) {
                let place = place(step);
                self.within -= u64::from(self.counts[place]);
                self.counts[place] = 0;
            }
            // Whoever passed all places cleared all of them, whatever their numbers are now.
            self.at = step;
        }
        let oldest = self.at.saturating_sub(STEPS as u64 - 1);
        self.counts[place(step.max(oldest))] += 1;
        self.within += 1;
        if self.within > self.most.requests {
            self.most = Peak { requests: self.within, from_us: oldest * self.step_us };
        }
    }

    pub(super) fn most(&self) -> Peak {
        self.most
    }
}

fn place(step: u64) -> usize {
    usize::try_from(step % STEPS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn most(moments: &[u64]) -> Peak {
        let mut sliding = Sliding::new(SECOND);
        moments.iter().for_each(|at| sliding.add(at * SECOND));
        sliding.most()
    }

    #[test]
    fn the_window_slides_over_whole_minutes_of_the_clock() {
        // Three before a full minute, three after it: six within sixty seconds, though never more than three in a minute of the clock.
        let moments = [100, 110, 119, 120, 130, 159];
        assert_eq!(most(&moments), Peak { requests: 6, from_us: 100 * SECOND });
        assert_eq!(
            most(&[100, 160]),
            Peak { requests: 1, from_us: 41 * SECOND },
            "sixty seconds apart is not within them"
        );
    }

    #[test]
    fn it_is_what_counting_every_window_finds() {
        let mut seed = 7_u64;
        let mut moments: Vec<u64> = (0..4000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 33) % 9000
            })
            .collect();
        moments.sort_unstable();
        let by_hand =
            (0..9000).map(|from| moments.iter().filter(|at| (from..from + 60).contains(*at)).count() as u64).max();
        assert_eq!(Some(most(&moments).requests), by_hand);
    }

    #[test]
    fn a_moment_that_is_late_is_counted_once() {
        assert_eq!(most(&[100, 99, 101]).requests, 3);
        assert_eq!(most(&[1000, 1, 1000]).requests, 3, "too late for its place: at the window's oldest end");
    }
}
