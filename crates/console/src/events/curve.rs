//! Both arms over time, in bounded room: when it is full, every second point goes and points come half as often.

use operations::pulse::Beat;

/// So many points at most.
const MOST: usize = 600;

/// The points of one epoch, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Curve {
    points: Vec<Beat>,
    /// Beats that make a point, and those since the last.
    every: u32,
    since: u32,
}

impl Curve {
    /// Takes one more; another epoch begins anew.
    pub(super) fn add(&mut self, beat: Beat) {
        if self.points.last().is_none_or(|last| last.epoch != beat.epoch) {
            *self = Curve { points: Vec::new(), every: 1, since: 0 };
        }
        self.since += 1;
        if self.since < self.every {
            return;
        }
        self.since = 0;
        if self.points.len() >= MOST {
            let mut keeps = false;
            self.points.retain(|_| {
                keeps = !keeps;
                keeps
            });
            self.every = self.every.saturating_mul(2);
        }
        self.points.push(beat);
    }

    /// Them.
    pub(crate) fn points(&self) -> &[Beat] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use operations::pulse::ArmBeat;

    use super::*;

    fn beat(at_ms: u64, epoch: u32) -> Beat {
        Beat { at_ms, epoch, baseline: ArmBeat::default(), candidate: ArmBeat::default() }
    }

    #[test]
    fn a_long_epoch_keeps_its_beginning_and_its_end_in_bounded_room() {
        let mut curve = Curve::default();
        (0..100_000).for_each(|at| curve.add(beat(at, 1)));
        let points = curve.points();
        assert!((MOST / 2..=MOST).contains(&points.len()), "{}", points.len());
        assert!(points.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
        assert!(points[0].at_ms == 0 && points[points.len() - 1].at_ms > 99_000);
    }

    #[test]
    fn another_epoch_begins_anew() {
        let mut curve = Curve::default();
        (0..10).for_each(|at| curve.add(beat(at, 1)));
        curve.add(beat(10, 2));
        assert_eq!(curve.points().len(), 1);
    }
}
