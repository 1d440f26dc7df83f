//! What is counted of the requests that come during a detour. One lock, taken once at the end of each: a rehearsal is short.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wire::failure::FailureKind;
use wire::record::{AttemptRecord, ExchangeOutcome};

use super::{Moment, Phase, Seat};
use crate::record::micros;

/// Durations kept of one part; the quantiles are of the first so many.
const MOST_DURATIONS: usize = 10_000;

/// What came in one part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Requests that came.
    pub arrived: u64,
    /// Requests that ended.
    pub requests: u64,
    /// Of these, the drill's own.
    pub own: u64,
    /// Answered by the alternative.
    pub by_alternative: u64,
    /// Answered by whoever answers as ever.
    pub by_others: u64,
    /// The alternative failed and another one answered.
    pub fell_back: u64,
    /// The answer to the caller failed.
    pub failed: u64,
    /// The caller's own mistakes, and what the route's rules held back.
    pub callers_own: u64,
    /// Callers who left before the end.
    pub gone: u64,
    /// Cannot be moved: goes on from what only the vendor keeps, makes vectors or files, or may not leave the house.
    pub stayed: u64,
    /// Half of the answers took longer, milliseconds.
    pub median_ms: Option<f64>,
    /// One in twenty took longer, milliseconds.
    pub p95_ms: Option<f64>,
    #[serde(skip)]
    durations_us: Vec<u64>,
}

impl Part {
    /// Requests that the alternative was asked for and that ended by its answer, another's or none.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.by_alternative + self.fell_back + self.failed
    }

    /// Requests that were answered by their first choice, whoever that is: a rollout may send some to the alternative as ever.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.by_alternative + self.by_others
    }

    /// The part of those that were answered by nobody, or not by the alternative.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        let moved = self.moved();
        (moved > 0).then(|| (self.fell_back + self.failed) as f64 / moved as f64)
    }

    /// The same with its quantiles.
    pub(super) fn settled(&self, arrived: u64) -> Part {
        let mut sorted = self.durations_us.clone();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (percent * sorted.len()).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).map(|us| *us as f64 / 1e3)
        };
        Part { arrived, median_ms: at(50), p95_ms: at(95), durations_us: Vec::new(), ..self.clone() }
    }
}

/// What is known of one switch, in microseconds from its order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Crossing {
    pub(super) first_asked_us: Option<u64>,
    pub(super) first_answer_us: Option<u64>,
    pub(super) last_asked_of_previous_us: Option<u64>,
    pub(super) last_answer_of_previous_us: Option<u64>,
}

/// What an ended exchange was to a detour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Alternative,
    Others,
    FellBack,
    Failed,
    CallersOwn,
    Gone,
    Stayed,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) before: Part,
    pub(super) away: Part,
    pub(super) back: Part,
    pub(super) there: Crossing,
    pub(super) home: Crossing,
    /// Came while the route was away, could be moved, and the alternative was not asked.
    pub(super) leaked: u64,
}

impl Counts {
    /// Whether so many were answered since traffic is back.
    pub(super) fn verified(&self, n: u64) -> bool {
        self.back.answered() >= n
    }

    /// Counts one exchange that ended `now`.
    pub(super) fn note(
        &mut self,
        (to, seat, now): (&str, &Seat, Moment),
        (away, back): (Option<Moment>, Option<Moment>),
        (outcome, attempts, served_by): (ExchangeOutcome, &[AttemptRecord], Option<&str>),
    ) -> Ended {
        let what = ended((to, seat), (outcome, attempts, served_by));
        if let Some(away) = away {
            let old = |attempt: &AttemptRecord| attempt.target != to;
            if seat.phase == Phase::Before {
                self.there.note_previous(away, now, attempts.iter().filter(|attempt| old(attempt)));
            }
            if what == Ended::Alternative && seat.phase == Phase::Away {
                self.there.note_new(away, seat.arrived, answered_at(now, attempts));
            }
        }
        if let Some(back) = back {
            if seat.phase == Phase::Away {
                self.home.note_previous(back, now, attempts.iter().filter(|attempt| attempt.target == to));
            }
            if matches!(what, Ended::Others | Ended::Alternative) && seat.phase == Phase::Back {
                self.home.note_new(back, seat.arrived, answered_at(now, attempts));
            }
        }
        let was_asked = attempts.iter().any(|attempt| attempt.target == to);
        let came_back = |back: Moment| attempts.iter().all(|attempt| attempt.started_us >= back.unix_us);
        if seat.came_away() && what == Ended::Others && !was_asked && !back.is_some_and(came_back) {
            self.leaked += 1;
        }
        let part = match seat.phase {
            Phase::Before => &mut self.before,
            Phase::Away => &mut self.away,
            Phase::Back | Phase::Over => &mut self.back,
        };
        part.requests += 1;
        part.own += u64::from(seat.own);
        let count = match what {
            Ended::Alternative => &mut part.by_alternative,
            Ended::Others => &mut part.by_others,
            Ended::FellBack => &mut part.fell_back,
            Ended::Failed => &mut part.failed,
            Ended::CallersOwn => &mut part.callers_own,
            Ended::Gone => &mut part.gone,
            Ended::Stayed => &mut part.stayed,
        };
        *count += 1;
        let answered = matches!(what, Ended::Alternative | Ended::Others | Ended::FellBack);
        if answered && part.durations_us.len() < MOST_DURATIONS {
            part.durations_us.push(micros(now.at.saturating_duration_since(seat.arrived)));
        }
        what
    }
}

impl Crossing {
    /// Somebody was answered by the previous one, asked before or after the order.
    fn note_previous<'a>(&mut self, order: Moment, now: Moment, attempts: impl Iterator<Item = &'a AttemptRecord>) {
        for attempt in attempts {
            let asked = attempt.started_us.checked_sub(order.unix_us);
            self.last_asked_of_previous_us = self.last_asked_of_previous_us.max(asked);
            let ended = micros(now.at.saturating_duration_since(order.at));
            self.last_answer_of_previous_us = self.last_answer_of_previous_us.max(Some(ended));
        }
    }

    /// Somebody who came after the order was answered by the new one.
    fn note_new(&mut self, order: Moment, arrived: Instant, answered: Instant) {
        let since = |at: Instant| Some(micros(at.saturating_duration_since(order.at)));
        let sooner = |before: Option<u64>, now: Option<u64>| before.into_iter().chain(now).min();
        self.first_asked_us = sooner(self.first_asked_us, since(arrived));
        self.first_answer_us = sooner(self.first_answer_us, since(answered));
    }
}

/// When the first of the answer came, of an exchange that ended `now`.
fn answered_at(now: Moment, attempts: &[AttemptRecord]) -> Instant {
    let after_first = attempts.last().map_or(0, |attempt| {
        attempt.time_to_first_token_us.map_or(0, |first| attempt.duration_us.saturating_sub(first))
    });
    now.at.checked_sub(Duration::from_micros(after_first)).unwrap_or(now.at)
}

fn ended(
    (to, seat): (&str, &Seat),
    (outcome, attempts, served_by): (ExchangeOutcome, &[AttemptRecord], Option<&str>),
) -> Ended {
    let failure = attempts.last().and_then(|attempt| attempt.failure);
    let alternative_failed = attempts.iter().any(|attempt| attempt.target == to && attempt.failure.is_some());
    match outcome {
        ExchangeOutcome::ClientGone => Ended::Gone,
        _ if seat.phase == Phase::Away && !seat.movable => Ended::Stayed,
        ExchangeOutcome::Complete if served_by == Some(to) => Ended::Alternative,
        ExchangeOutcome::Complete if seat.came_away() && alternative_failed => Ended::FellBack,
        ExchangeOutcome::Complete => Ended::Others,
        // Nobody takes such a request; or nobody was asked.
        _ if matches!(failure, None | Some(FailureKind::HttpClientError | FailureKind::ClientGone)) => {
            Ended::CallersOwn
        }
        _ => Ended::Failed,
    }
}
