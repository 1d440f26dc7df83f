//! One thread drives the writer and the syncer step by step over a simulated disk, in an order a seed decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wire::ids::ExchangeId;
use wire::private::Private;
use wire::record::{Record, ShadowRecord};

use crate::files::Files;
use crate::files::simulated::SimulatedFiles;
use crate::journal::queue::{Shared, lock, submit};
use crate::journal::reader::{Position, ReadOutcome, Reader};
use crate::journal::recover::{Recovered, recover, sync_newest};
use crate::journal::syncer::{Syncing, segments};
use crate::journal::ticket::Ticket;
use crate::journal::writer::{Writer, write_here};
use crate::journal::{Config, Mode};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn record(number: usize, size: usize) -> Record {
    let body: Vec<u8> = (0..size).map(|at| u8::try_from((number + at) % 251).unwrap()).collect();
    let id = ExchangeId::from_u128(number as u128);
    let (rollout, body) = ("r".to_owned(), Private::from(body));
    Record::Shadow(ShadowRecord { id, rollout, epoch: 1, attempt: None, drop: None, body, declined: None })
}

/// What is remembered over deaths of the process: records, promises, and what a shipper took away.
struct Model {
    mode: Mode,
    disk: SimulatedFiles,
    random: Random,
    sizes: Vec<usize>,
    /// Promised to survive whatever comes.
    promised: Vec<bool>,
    /// Promised to survive the death of the process, after a sync failed: a power loss later takes them.
    promised_without_power: BTreeSet<usize>,
    /// Shipped, with how often.
    shipped: BTreeMap<usize, u32>,
    order: Vec<usize>,
    position: Position,
    any_failed_sync: bool,
    /// The segment read last vanished with the power, so all was read again.
    any_second_reading: bool,
}

impl Model {
    fn number(&self) -> usize {
        self.sizes.len()
    }

    /// One life of the process, until something kills it.
    fn live(&mut self) {
        let left = self.disk.list().unwrap();
        let recovered = recover(&self.disk, &left).unwrap();
        sync_newest(&self.disk, &left);
        let shared = Arc::new(self.shared(&recovered));
        let mut reader = self.reader(&shared);
        let mut tickets: Vec<(usize, u64, Ticket)> = Vec::new();
        let mut taken = 0;
        for _ in 0..self.random.below(60) {
            match self.random.below(100) {
                0..45 => {
                    let number = self.number();
                    let size = if self.random.chance(5) { 12_000 } else { 60 };
                    let size = usize::try_from(self.random.below(size)).unwrap();
                    self.sizes.push(size);
                    self.promised.push(false);
                    if let Ok(ticket) = submit(&shared, &record(number, size)) {
                        taken += 1;
                        tickets.push((number, taken, ticket));
                    }
                }
                45..70 => self.write(&shared),
                70..84 => self.sync(&shared),
                84..92 => self.faults(),
                _ => self.ship(&mut reader),
            }
        }
        let power = self.random.chance(50);
        let synced = shared.synced.load(Ordering::Acquire);
        for (number, seq, ticket) in &tickets {
            let acknowledged = ticket.peek() == Some(Ok(()));
            let safe = match self.mode {
                Mode::Strict => acknowledged,
                Mode::Durable => acknowledged && (!power || *seq <= synced),
                Mode::BestEffort => false,
            };
            if shared.counts().sync_errors > 0 && *seq > synced {
                self.promised_without_power.extend(safe.then_some(*number));
            } else {
                self.promised[*number] |= safe;
            }
        }
        if power {
            self.disk.power_loss();
            self.promised_without_power.clear();
        } else {
            self.disk.kill();
        }
        self.disk.set(|faults| *faults = Default::default());
    }

    fn shared(&mut self, recovered: &Recovered) -> Shared {
        let config = Config {
            mode: self.mode,
            segment_bytes: 200 + self.random.below(4000),
            fsync_every: Duration::ZERO,
            max_queue_bytes: 40_000,
            max_spool_bytes: 1 << 30,
            files: None,
        };
        Shared::new(config, Arc::new(self.disk.clone()), recovered)
    }

    fn reader(&mut self, shared: &Arc<Shared>) -> Reader {
        let mut reader = Reader::new(shared.clone());
        reader.seek(self.position).unwrap();
        self.any_second_reading |= reader.position() != self.position;
        reader
    }

    /// As the writer thread or as a request thread.
    fn write(&mut self, shared: &Shared) {
        if self.random.chance(50) {
            write_here(shared);
        } else {
            Writer::new(shared, &mut lock(&shared.tail)).step();
        }
    }

    fn sync(&mut self, shared: &Shared) {
        let due = segments(&lock(&shared.dirty));
        for segment in due {
            let Some(syncing) = Syncing::start(shared, &segment) else { continue };
            let result = syncing.perform();
            self.any_failed_sync |= result.is_err();
            // Writes go on while a sync runs.
            if self.random.chance(30) {
                self.write(shared);
            }
            syncing.complete(&result);
        }
    }

    fn faults(&mut self) {
        let (what, space, n) = (self.random.below(6), self.random.below(3000), self.random.below(3));
        self.disk.set(|faults| match what {
            0 => faults.space = Some(space),
            1 => faults.write_error = Some(std::io::ErrorKind::Other),
            2 => faults.n_failing_syncs = u32::try_from(n).unwrap(),
            3 => faults.short_writes = !faults.short_writes,
            4 => faults.truncate_fails = !faults.truncate_fails,
            _ => *faults = Default::default(),
        });
    }

    /// What the shipper does: takes records, keeps the position, deletes what is behind it.
    fn ship(&mut self, reader: &mut Reader) {
        for _ in 0..self.random.below(20) {
            match reader.next().unwrap() {
                ReadOutcome::Record(payload) => {
                    let record: Record = postcard::from_bytes(payload).unwrap();
                    self.take(&record);
                }
                ReadOutcome::NextSegment => {
                    self.position = reader.position();
                    for segment in reader.finished().unwrap() {
                        reader.delete(segment).unwrap();
                    }
                }
                ReadOutcome::CaughtUp => break,
            }
        }
        self.position = reader.position();
    }

    fn take(&mut self, found: &Record) {
        if let Record::Gap(_) = found {
            return;
        }
        let number = usize::try_from(found.exchange_id().unwrap().as_u128()).unwrap();
        assert_eq!(*found, record(number, self.sizes[number]), "a record was changed");
        let times = self.shipped.entry(number).or_default();
        *times += 1;
        if *times == 1 {
            self.order.push(number);
        }
    }

    fn check(mut self) {
        let recovered = recover(&self.disk, &self.disk.list().unwrap()).unwrap();
        let shared = Arc::new(self.shared(&recovered));
        let mut reader = self.reader(&shared);
        loop {
            match reader.next().unwrap() {
                ReadOutcome::Record(payload) => {
                    let record: Record = postcard::from_bytes(payload).unwrap();
                    self.take(&record);
                }
                ReadOutcome::NextSegment => {}
                ReadOutcome::CaughtUp => break,
            }
        }
        for (number, promised) in self.promised.iter().enumerate() {
            let promised = *promised || self.promised_without_power.contains(&number);
            assert!(!promised || self.shipped.contains_key(&number), "record {number} was lost");
        }
        if !self.any_failed_sync {
            assert!(self.order.is_sorted(), "out of order: {:?}", self.order);
        }
        if !self.any_failed_sync && !self.any_second_reading {
            assert!(self.shipped.values().all(|times| *times == 1), "a record is there twice");
        }
    }
}

fn run(mode: Mode, seed: u64) {
    let model = std::panic::catch_unwind(|| {
        let mut model = Model {
            mode,
            disk: SimulatedFiles::new(seed ^ 0xd15c),
            random: Random(seed),
            sizes: Vec::new(),
            promised: Vec::new(),
            promised_without_power: BTreeSet::new(),
            shipped: BTreeMap::new(),
            order: Vec::new(),
            position: Position::default(),
            any_failed_sync: false,
            any_second_reading: false,
        };
        for _ in 0..1 + model.random.below(4) {
            model.live();
        }
        model.check();
    });
    if let Err(panic) = model {
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        panic!("{mode:?} seed {seed}: {text}");
    }
}

fn seeds() -> u64 {
    if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { 200_000 } else { 2000 }
}

#[test]
fn strict_loses_nothing_it_acknowledged_whatever_happens() {
    // The last one: a segment that was read vanishes with the power and its number is used again.
    (0..seeds()).chain([37_873]).for_each(|seed| run(Mode::Strict, seed));
}

#[test]
fn durable_loses_nothing_at_a_kill_and_only_the_unsynced_with_the_power() {
    (0..seeds()).chain([2706]).for_each(|seed| run(Mode::Durable, seed));
}

#[test]
fn best_effort_accepts_nothing_corrupt() {
    (0..seeds() / 2).for_each(|seed| run(Mode::BestEffort, seed));
}
