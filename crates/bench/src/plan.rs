//! What a run is made of, and what can be said of it before anything is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::arrivals::trace::Shape;
use crate::arrivals::{Arrivals, Pattern};
use crate::clock::seconds;
use crate::compare::FEWEST_BLOCKS;
use crate::engine::Pace;
use crate::engine::turns::Turns;
use crate::result::Load;
use crate::search::Range;
use crate::slo::Slo;

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The levels, in order.
    pub loads: Vec<Load>,
    /// The arrivals of an open loop.
    pub pattern: Pattern,
    /// The requests of a replay.
    pub shapes: Vec<Shape>,
    /// Who is asked when.
    pub turns: Turns,
    /// Before what counts, each time.
    pub warm_up: Duration,
    /// How long a level is, its warm-up apart.
    pub span: Duration,
    /// Requests of a level at most, those of its warm-up apart.
    pub most_requests: Option<u64>,
    /// How long is waited for what is under way at the end of a level.
    pub drain: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What is allowed.
    pub slo: Option<Slo>,
    /// Where the most load is searched.
    pub search: Option<Range>,
    /// The load that is expected at the peak.
    pub peak: Option<f64>,
    /// Decides arrivals, texts and turns.
    pub seed: u64,
}

impl Plan {
    /// What is sent at a load, and when that ends. Where a search gives up on an objective, there are requests enough to show the share.
    pub(crate) fn schedule(&self, load: Load, give_up: Option<Slo>) -> (Pace, Duration) {
        let mut end = self.warm_up + self.span;
        let most = |most: u64| usize::try_from(most).unwrap_or(usize::MAX);
        let pace = match load {
            Load::Rate { per_s } => {
                if let Some(slo) = give_up {
                    end = end.max(self.warm_up + seconds(slo.fewest() as f64 * 2.0 / per_s));
                }
                let arrivals = Arrivals::new(self.pattern, per_s, self.seed);
                let mut slots: Vec<_> = arrivals.take_while(|at| *at < end).map(|at| (at, None)).collect();
                if let Some(requests) = self.most_requests {
                    let n_warm = slots.iter().filter(|(at, _)| *at < self.warm_up).count();
                    slots.truncate(n_warm.saturating_add(most(requests)));
                    end = slots.last().map_or(end, |(at, _)| end.min(*at + Duration::from_micros(1)));
                }
                Pace::Open(slots)
            }
            Load::Replay { .. } => {
                let n = self.most_requests.map_or(usize::MAX, most);
                let slots: Vec<_> =
                    self.shapes.iter().take(n).map(|shape| (self.warm_up + shape.at, Some(shape.clone()))).collect();
                end = slots.last().map_or(end, |(at, _)| *at + Duration::from_micros(1));
                Pace::Open(slots)
            }
            Load::Concurrency { n } => Pace::Closed(n),
        };
        (pace, end)
    }

    /// Blocks that deltas between the first of so many targets and each other one can be made of, those of all levels together, where every request has its
    /// answer. `None` where nothing is compared, or the server decides how many there are.
    #[must_use]
    pub fn n_blocks(&self, n_targets: usize) -> Option<usize> {
        if n_targets < 2 || self.search.is_some() {
            return None;
        }
        self.loads.iter().map(|load| self.blocks_of(*load, n_targets)).sum()
    }

    fn blocks_of(&self, load: Load, n_targets: usize) -> Option<usize> {
        let (pace, end) = self.schedule(load, None);
        let moments: Vec<Duration> = match (pace, self.turns) {
            (Pace::Open(slots), _) => slots.into_iter().map(|(at, _)| at).collect(),
            // Somebody is always asked: each turn is one.
            (Pace::Closed(_), Turns::Blocks { length, .. }) => {
                (0..).map(|turn| length * turn).skip_while(|at| *at < self.warm_up).take_while(|at| *at < end).collect()
            }
            (Pace::Closed(_), Turns::Each) => return None,
        };
        let mut asked: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
        for (place, at) in moments.into_iter().enumerate().filter(|(_, at)| *at >= self.warm_up && *at < end) {
            for (target, block) in self.turns.at(at, place, n_targets) {
                asked.entry(block).or_insert_with(|| vec![false; n_targets])[target] = true;
            }
        }
        let both = |candidate: usize| asked.values().filter(|asked| asked[0] && asked[candidate]).count();
        (1..n_targets).map(both).min()
    }

    /// What to say before a run whose deltas will have no intervals, and what would give them some.
    #[must_use]
    pub fn too_few_blocks(&self, n_targets: usize) -> Option<String> {
        let n = self.n_blocks(n_targets).filter(|n| *n < FEWEST_BLOCKS)?;
        let asked = match self.turns {
            Turns::Each => "requests sent to all".to_owned(),
            Turns::Blocks { length, .. } => {
                format!("rounds in which each of {n_targets} targets has its turn of {length:?}")
            }
        };
        // A round more, for the one that the warm-up cuts.
        let longer = self.span.mul_f64((FEWEST_BLOCKS + 1) as f64 / n.max(1) as f64).as_secs_f64().ceil();
        let fix = match (self.most_requests, self.turns) {
            (Some(requests), _) => {
                let more = requests.saturating_mul(FEWEST_BLOCKS as u64 + 1).div_ceil(n.max(1) as u64);
                format!("`--requests {more}`, or none,")
            }
            (None, Turns::Each) => format!("`--duration {longer}s`, or more a second,"),
            (None, Turns::Blocks { .. }) => format!("`--duration {longer}s`, or a shorter `--block`,"),
        };
        Some(format!(
            "{n} {asked} are planned, and below {FEWEST_BLOCKS} no delta has an interval, so that none is shown to differ; {fix} gives enough"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(turns: Turns, load: Load, (warm_up, span): (u64, u64)) -> Plan {
        Plan {
            loads: vec![load],
            pattern: Pattern::Constant,
            shapes: Vec::new(),
            turns,
            warm_up: Duration::from_secs(warm_up),
            span: Duration::from_secs(span),
            most_requests: None,
            drain: Duration::ZERO,
            timeout: Duration::ZERO,
            slo: None,
            search: None,
            peak: None,
            seed: 1,
        }
    }

    const BLOCKS: Turns = Turns::Blocks { length: Duration::from_secs(1), seed: 1 };
    const FAST: Load = Load::Rate { per_s: 20.0 };

    #[test]
    fn rounds_in_which_all_have_their_turn_are_counted_before_anything_is_sent() {
        assert_eq!(plan(BLOCKS, FAST, (0, 20)).n_blocks(2), Some(10));
        assert_eq!(plan(BLOCKS, FAST, (0, 20)).n_blocks(4), Some(5));
        assert_eq!(plan(BLOCKS, Load::Concurrency { n: 2 }, (2, 20)).n_blocks(2), Some(10));
        let slow = plan(BLOCKS, Load::Rate { per_s: 0.5 }, (0, 20)).n_blocks(2);
        assert!(slow.is_some_and(|n| n < 10), "a turn without an arrival is none: {slow:?}");
        assert_eq!(plan(Turns::Each, FAST, (1, 2)).n_blocks(2), Some(40));
        assert_eq!(plan(BLOCKS, FAST, (0, 20)).n_blocks(1), None);
        assert_eq!(plan(Turns::Each, Load::Concurrency { n: 2 }, (0, 20)).n_blocks(2), None);
        let two = Plan { loads: vec![FAST, FAST], ..plan(BLOCKS, FAST, (0, 10)) };
        assert_eq!(two.n_blocks(2), Some(10));
    }

    #[test]
    fn too_few_blocks_are_told_with_a_duration_that_is_enough() {
        let short = plan(BLOCKS, FAST, (0, 8));
        let said = short.too_few_blocks(2).unwrap();
        assert!(said.starts_with("4 rounds") && said.contains("`--duration 22s`"), "{said}");
        assert_eq!(Plan { span: Duration::from_secs(22), ..short.clone() }.too_few_blocks(2), None);
        let few = Plan { most_requests: Some(5), ..plan(Turns::Each, FAST, (0, 8)) };
        let said = few.too_few_blocks(2).unwrap();
        assert!(said.starts_with("5 requests") && said.contains("`--requests 11`"), "{said}");
        assert_eq!(Plan { most_requests: Some(11), ..few }.too_few_blocks(2), None);
    }
}
