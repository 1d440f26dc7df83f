//! What in counters is worth telling, and when it is worth telling again. Pure: readings and times are arguments.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::json;

use crate::event::{Event, Kind};
use crate::webhook::Settings;

/// Losses are looked at over this long.
pub const SPAN: Duration = Duration::from_secs(300);
/// Fewer than this say nothing about a fraction.
const FEWEST: u64 = 100;
/// What goes on is told again after this long.
const AGAIN_AFTER: Duration = Duration::from_secs(6 * 3600);

/// Counters at one moment. They only grow, but for a rollout's own in a new epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Records the journal was given.
    pub journal_records: u64,
    /// Those it lost.
    pub journal_lost: u64,
    /// Copies that the shadow was offered.
    pub shadow_offered: u64,
    /// Those it dropped.
    pub shadow_dropped: u64,
    /// Rollouts that are live and count.
    pub rollouts: Vec<RolloutReading>,
}

/// A live rollout at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutReading {
    /// Its name.
    pub name: String,
    /// Its epoch.
    pub epoch: u32,
    /// Requests, pairs and signals that its evidence has judged in it.
    pub judged: u64,
    /// Requests of its route in this process that took part, both arms together; only grows.
    pub requests: u64,
}

/// Remembers what was read and told.
#[derive(Debug, Default)]
pub struct Watch {
    readings: VecDeque<(u64, Reading)>,
    growth: BTreeMap<String, Growth>,
    told: BTreeMap<(Kind, String), u64>,
}

#[derive(Debug)]
struct Growth {
    epoch: u32,
    judged: u64,
    grew_us: u64,
}

impl Watch {
    /// What is worth telling now. A condition is told once and again every six hours while it lasts; once it is over, the next time is
    /// another.
    pub fn look(&mut self, reading: Reading, settings: &Settings, now_us: u64) -> Vec<Event> {
        let oldest = now_us.saturating_sub(us(SPAN));
        while self.readings.len() > 1 && self.readings[1].0 <= oldest {
            self.readings.pop_front();
        }
        let before = self.readings.front().map(|(_, before)| before.clone()).unwrap_or_else(|| reading.clone());
        let mut events = Vec::new();
        let journal = Loss {
            n: reading.journal_records.saturating_sub(before.journal_records),
            lost: reading.journal_lost.saturating_sub(before.journal_lost),
        };
        let shadow = Loss {
            n: reading.shadow_offered.saturating_sub(before.shadow_offered),
            lost: reading.shadow_dropped.saturating_sub(before.shadow_dropped),
        };
        for (kind, subject, what, loss, limit) in [
            (Kind::JournalDrops, "journal", "records", journal, settings.journal_drops),
            (Kind::ShadowDrops, "shadow", "copies", shadow, settings.shadow_drops),
        ] {
            let event = loss.is_above(limit).then(|| loss.event(kind, (subject, what), limit, now_us));
            events.extend(self.tell(kind, subject, event, now_us));
        }
        for rollout in &reading.rollouts {
            let event = self.stale(rollout, settings, now_us);
            events.extend(self.tell(Kind::StaleEvidence, &rollout.name, event, now_us));
        }
        self.growth.retain(|name, _| reading.rollouts.iter().any(|rollout| rollout.name == *name));
        self.readings.push_back((now_us, reading));
        events
    }

    fn stale(&mut self, rollout: &RolloutReading, settings: &Settings, now_us: u64) -> Option<Event> {
        let fresh = Growth { epoch: rollout.epoch, judged: rollout.judged, grew_us: now_us };
        let growth = self.growth.entry(rollout.name.clone()).or_insert(Growth { ..fresh });
        if growth.epoch != rollout.epoch || growth.judged != rollout.judged {
            *growth = Growth { epoch: rollout.epoch, judged: rollout.judged, grew_us: now_us };
        }
        let for_us = now_us.saturating_sub(growth.grew_us);
        if for_us < us(settings.stale_after) {
            return None;
        }
        let minutes = for_us / 60_000_000;
        Some(Event {
            kind: Kind::StaleEvidence,
            subject: rollout.name.clone(),
            occasion: growth.grew_us,
            at_us: now_us,
            words: format!("the evidence of {} has not grown for {minutes} minutes: it decides nothing", rollout.name),
            data: json!({
                "rollout": rollout.name,
                "epoch": rollout.epoch,
                "judged": rollout.judged,
                "stale_for_s": for_us / 1_000_000,
            }),
        })
    }

    /// Lets an event through unless it was told already; forgets it when there is none.
    fn tell(&mut self, kind: Kind, subject: &str, event: Option<Event>, now_us: u64) -> Option<Event> {
        let key = (kind, subject.to_owned());
        let Some(event) = event else {
            self.told.remove(&key);
            return None;
        };
        let is_due = self.told.get(&key).is_none_or(|told| now_us.saturating_sub(*told) >= us(AGAIN_AFTER));
        if !is_due {
            return None;
        }
        self.told.insert(key, now_us);
        Some(Event { occasion: now_us, ..event })
    }
}

/// So many, of which so many were lost.
#[derive(Clone, Copy)]
struct Loss {
    n: u64,
    lost: u64,
}

impl Loss {
    #[expect(clippy::cast_precision_loss, reason = "counts of minutes are far below 2^53")]
    fn fraction(self) -> f64 {
        self.lost as f64 / self.n.max(self.lost).max(1) as f64
    }

    fn is_above(self, limit: f64) -> bool {
        self.n.max(self.lost) >= FEWEST && self.lost > 0 && self.fraction() > limit
    }

    fn event(self, kind: Kind, (subject, what): (&str, &str), limit: f64, now_us: u64) -> Event {
        let (percent, allowed) = (self.fraction() * 100.0, limit * 100.0);
        Event {
            kind,
            subject: subject.to_owned(),
            occasion: now_us,
            at_us: now_us,
            words: format!(
                "the {subject} lost {} of {} {what} in {} minutes ({percent:.2} %, {allowed:.2} % allowed)",
                self.lost,
                self.n.max(self.lost),
                SPAN.as_secs() / 60
            ),
            data: json!({ "n": self.n.max(self.lost), "lost": self.lost, "allowed": limit, "span_s": SPAN.as_secs() }),
        }
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000;

    /// What is told at each of these readings, one a minute.
    fn check(readings: impl IntoIterator<Item = Reading>) -> Vec<(u64, &'static str)> {
        let (mut watch, settings) = (Watch::default(), Settings::default());
        let told = readings.into_iter().enumerate().flat_map(|(n, reading)| {
            let events = watch.look(reading, &settings, n as u64 * MINUTE);
            events.into_iter().map(|event| (n as u64, event.kind.as_str())).collect::<Vec<_>>()
        });
        told.collect()
    }

    fn journal(records: u64, lost: u64) -> Reading {
        Reading { journal_records: records, journal_lost: lost, ..Reading::default() }
    }

    #[test]
    fn losses_are_told_once_and_again_when_they_come_back() {
        let lossy = (0..3).map(|n| journal(n * 1000, n * 10));
        let quiet = (3..20).map(|n| journal(n * 1000, 20));
        let again = (20..22).map(|n| journal(n * 1000, 20 + (n - 19) * 10));
        assert_eq!(check(lossy.chain(quiet).chain(again)), [(1, "journal.drops"), (20, "journal.drops")]);
    }

    #[test]
    fn losses_below_the_limit_or_among_few_are_not_told() {
        assert_eq!(check((0..10).map(|n| journal(n * 10_000, n))), []);
        assert_eq!(check((0..2).map(|n| journal(n * 50, n * 10))), []);
        let shadow = |n: u64| Reading { shadow_offered: n * 1000, shadow_dropped: n * 200, ..Reading::default() };
        assert_eq!(check((0..4).map(shadow)), [(1, "shadow.drops")]);
    }

    #[test]
    fn what_lasts_is_told_again_after_six_hours() {
        let told = check((0..800).map(|n| journal(n * 1000, n * 10)));
        assert_eq!(told, [(1, "journal.drops"), (361, "journal.drops"), (721, "journal.drops")]);
    }

    #[test]
    fn evidence_that_does_not_grow_is_stale_and_a_new_epoch_begins_anew() {
        let rollout = |epoch, judged| Reading {
            rollouts: vec![RolloutReading { name: "to-b".into(), epoch, judged, requests: 0 }],
            ..Reading::default()
        };
        let grows = (0..100).map(|n| rollout(1, n));
        let stands = (0..90).map(|_| rollout(1, 99));
        let next = (0..70).map(|_| rollout(2, 0));
        let told = check(grows.chain(stands).chain(next));
        assert_eq!(told, [(159, "rollout.stale_evidence"), (250, "rollout.stale_evidence")]);
    }
}
