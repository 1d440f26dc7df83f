//! Queries that are asked of the target too, beside those who wait for an answer, and what they say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ring::digest::{Context, SHA256};
use serde::Serialize;

use super::changes::{Changes, ChangesError, Move, Read};
use super::filter::Filter;
use super::index::Index;
use super::pair::{Mode, Which};
use crate::parity::{Ask, Figure, Found, Parity, Verdict, compare, figure};
use crate::row::floats_to_bytes;

/// Queries that wait for the target; further ones are left out, and counted.
pub(super) const ROOM: usize = 64;
/// How often it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(200);
/// The least part of the queries that has to be compared.
const LEAST_COVERAGE: f64 = 0.9;

/// How much is asked of both, and what of it passes.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowSettings {
    /// How many different queries decide. Fixed before the first, so that nobody looks until it passes.
    pub n_reads: u32,
    /// How many of each list count.
    pub k: usize,
    /// Which part of them may differ.
    pub margin: f64,
}

/// A query and what the source found.
pub(super) struct Asked {
    pub(super) namespace: String,
    pub(super) vector: Vec<f32>,
    pub(super) filter: Option<Filter>,
    pub(super) k: usize,
    pub(super) found: Vec<String>,
    pub(super) took: Duration,
}

impl Asked {
    /// What tells it from other queries.
    fn key(&self) -> [u8; 16] {
        let mut hash = Context::new(&SHA256);
        for part in [format!("{:?} {}", self.namespace, self.k), format!("{:?}", self.filter)] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        hash.update(&floats_to_bytes(&self.vector));
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finish().as_ref()[..16]);
        key
    }
}

/// Asks the target what comes, until it is told to stop.
pub(super) fn run(index: &Arc<Index>, changes: &Changes, n_reads: u32, asked: &Receiver<Asked>, stop: &AtomicBool) {
    let Some(target) = index.target() else { return };
    while !stop.load(Ordering::Acquire) {
        let asked = match asked.recv_timeout(LOOK) {
            Ok(asked) => Some(asked),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if target.mode() != Mode::Shadow {
            continue;
        }
        let epoch = target.moving.epoch.load(Ordering::Acquire);
        let noted = asked.map_or(Ok(()), |asked| one(index, changes, (epoch, n_reads), asked));
        let n_lost = target.moving.n_lost.swap(0, Ordering::Relaxed);
        let lost = if n_lost > 0 { changes.note_lost(&index.name, epoch, n_lost) } else { Ok(()) };
        if let Err(error) = noted.and(lost) {
            tracing::error!(index = index.name, %error, "a shadow read could not be written down");
        }
    }
}

fn one(index: &Index, changes: &Changes, (epoch, n_reads): (i64, u32), asked: Asked) -> Result<(), ChangesError> {
    let key = asked.key();
    if changes.has_read(&index.name, epoch, &key)? || changes.n_read(&index.name, epoch)? >= u64::from(n_reads) {
        return Ok(());
    }
    let began = Instant::now();
    let found = index.side(Which::Target).nearest(&asked.namespace, asked.vector, asked.filter.as_ref(), asked.k);
    let us = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let took_us = (us(asked.took), us(began.elapsed()));
    let (target, trouble) = match found {
        Ok(hits) => (hits.into_iter().map(|(id, _)| id).collect(), None),
        Err(failure) => (Vec::new(), Some(failure.why())),
    };
    changes.note_read(&index.name, epoch, &Read { key, source: asked.found, target, took_us, trouble })
}

/// How long queries took, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Latency {
    /// The median of the source, and what 95 of 100 stay below.
    pub source_ms: (f64, f64),
    /// The same of the target.
    pub target_ms: (f64, f64),
    /// The target's minus the source's: the mean, and the bootstrap's 95 % interval.
    pub difference: Figure,
}

/// What the shadow says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shadowed {
    /// How many different queries were asked of both.
    pub n_reads: usize,
    /// How many decide.
    pub n_needed: u32,
    /// How many came too fast to be asked of both.
    pub n_lost: u64,
    /// How many the target did not answer. They count as lists that share nothing.
    pub n_failed: usize,
    /// What it said the first time.
    pub trouble: Option<String>,
    /// How long they took.
    pub latency: Latency,
    /// The lists.
    pub parity: Parity,
    /// In all.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
}

/// What the queries of an epoch say.
///
/// # Errors
/// Where the file fails.
pub fn judge(changes: &Changes, of: &Move, epoch: i64, settings: &ShadowSettings) -> Result<Shadowed, ChangesError> {
    let reads = changes.reads(&of.index, epoch, settings.n_reads)?;
    let n_lost = changes.n_lost(&of.index, epoch)?;
    let (mut source, mut target) = (Found::default(), Found::default());
    for (n, read) in reads.iter().enumerate() {
        let name = format!("{n:06}");
        source.lists.insert(name.clone(), read.source.clone());
        target.lists.insert(name, read.target.clone());
    }
    let ask = Ask { k: settings.k, margin: settings.margin, alpha: 0.05, power: 0.8, seed: 1 };
    let parity = compare((&source, &target), &BTreeMap::new(), &BTreeMap::new(), ask);
    let answered: Vec<&Read> = reads.iter().filter(|read| read.trouble.is_none()).collect();
    let ms = |us: u64| us as f64 / 1000.0;
    let of_source: Vec<f64> = answered.iter().map(|read| ms(read.took_us.0)).collect();
    let of_target: Vec<f64> = answered.iter().map(|read| ms(read.took_us.1)).collect();
    let differences: Vec<f64> = of_target.iter().zip(&of_source).map(|(target, source)| target - source).collect();
    let (verdict, why) = said(&parity, reads.len(), n_lost, settings);
    Ok(Shadowed {
        n_reads: reads.len(),
        n_needed: settings.n_reads,
        n_lost,
        n_failed: reads.len() - answered.len(),
        trouble: reads.iter().find_map(|read| read.trouble.clone()),
        latency: Latency {
            source_ms: (quantile(&of_source, 0.5), quantile(&of_source, 0.95)),
            target_ms: (quantile(&of_target, 0.5), quantile(&of_target, 0.95)),
            difference: figure("milliseconds, target minus source".to_owned(), &differences, ask),
        },
        parity,
        verdict,
        why,
    })
}

fn said(parity: &Parity, n_reads: usize, n_lost: u64, settings: &ShadowSettings) -> (Verdict, String) {
    let n = n_reads as f64;
    let coverage = if n_reads == 0 { 0.0 } else { n / (n + n_lost as f64) };
    if n_reads < settings.n_reads as usize {
        return (Verdict::Undecided, format!("{n_reads} of {} different queries were asked of both", settings.n_reads));
    }
    if coverage < LEAST_COVERAGE {
        let why =
            format!("only {:.0} % of the queries could be asked of both: {n_lost} came too fast", 100.0 * coverage);
        return (Verdict::Undecided, why);
    }
    match parity.verdict {
        Verdict::Undecided => {
            let why = "the lists differ by more than the margin, and nothing says which is better: judge documents, compare with `crossfade vectors eval --qrels`, and give what it prints to `--evidence`";
            (Verdict::Undecided, why.to_owned())
        }
        verdict => (verdict, parity.why.clone()),
    }
}

/// The value that a part of them is not above; 0 of none.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a place in a list")]
    let place = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: ShadowSettings = ShadowSettings { n_reads: 200, k: 3, margin: 0.02 };

    fn judged(n: u16, other: &[u16], n_lost: u64) -> Shadowed {
        let directory = tempfile::tempdir().unwrap();
        let mut changes = Changes::open(&directory.path().join("moves.db")).unwrap();
        let of = Move { index: "docs".into(), source: "a".into(), target: "b".into() };
        let wish = |to| super::super::changes::Wish {
            of: of.clone(),
            to,
            actor: "me".into(),
            reason: None,
            evidence: None,
            is_forced: false,
        };
        let epoch = changes.turn(&wish(Mode::Shadow)).unwrap();
        for at in 0..n {
            let list = |last: &str| vec!["a".to_owned(), "b".to_owned(), last.to_owned()];
            let mut key = [0; 16];
            key[..2].copy_from_slice(&at.to_be_bytes());
            let target = list(if other.contains(&at) { "d" } else { "c" });
            let read = Read { key, source: list("c"), target, took_us: (1000 + u64::from(at), 2500), trouble: None };
            changes.note_read("docs", epoch, &read).unwrap();
        }
        changes.note_lost("docs", epoch, n_lost).unwrap();
        judge(&changes, &of, epoch, &SETTINGS).unwrap()
    }

    #[test]
    fn the_same_lists_of_as_many_queries_as_were_fixed_pass() {
        let same = judged(250, &[], 5);
        assert_eq!((same.verdict, same.n_reads), (Verdict::Pass, 200), "{}", same.why);
        assert_eq!(same.parity.alike[0].mean, 1.0);
        assert_eq!((same.latency.source_ms, same.latency.target_ms), ((1.099, 1.189), (2.5, 2.5)));
        assert!((same.latency.difference.mean - 1.4005).abs() < 1e-9);
        assert!(same.latency.difference.interval.is_some_and(|(low, high)| low > 1.3 && high < 1.5));
    }

    #[test]
    fn fewer_queries_other_lists_and_queries_left_out_prove_nothing() {
        let few = judged(199, &[], 0);
        assert_eq!(
            (few.verdict, few.why.as_str()),
            (Verdict::Undecided, "199 of 200 different queries were asked of both")
        );
        assert_eq!(judged(200, &(0..60).collect::<Vec<_>>(), 0).verdict, Verdict::Undecided);
        let lost = judged(200, &[], 40);
        assert_eq!(lost.verdict, Verdict::Undecided);
        assert!(lost.why.contains("83 %"), "{}", lost.why);
        assert_eq!(judged(0, &[], 0).verdict, Verdict::Undecided);
    }
}
