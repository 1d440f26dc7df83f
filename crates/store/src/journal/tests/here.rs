//! A request thread that writes its own record, without any thread of the journal's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wire::ids::ExchangeId;
use wire::record::{OutcomeRecord, Record};

use crate::files::Files;
use crate::files::simulated::SimulatedFiles;
use crate::journal::queue::{Shared, lock, submit};
use crate::journal::recover::recover;
use crate::journal::writer::Writer;
use crate::journal::{Config, HEADER_LEN, Mode, Ticket};

struct Log {
    disk: SimulatedFiles,
    shared: Arc<Shared>,
}

impl Log {
    /// A log with one record, so that the writer thread has begun a segment.
    fn begun(mode: Mode) -> Log {
        let disk = SimulatedFiles::new(1);
        let recovered = recover(&disk, &disk.list().unwrap()).unwrap();
        let config = Config { mode, ..Config::default() };
        let log = Log { shared: Arc::new(Shared::new(config, Arc::new(disk.clone()), &recovered)), disk };
        let first = log.submit();
        first.write_here();
        assert_eq!(first.peek(), None, "the writer thread begins segments");
        log.write_as_thread();
        log
    }

    fn submit(&self) -> Ticket {
        let id = ExchangeId::from_u128(1);
        let record =
            Record::Outcome(OutcomeRecord { id, at_us: 1, name: "n".into(), value: 1.0, source: "test".into() });
        submit(&self.shared, &record).unwrap()
    }

    fn write_as_thread(&self) {
        Writer::new(&self.shared, &mut lock(&self.shared.tail)).step();
    }
}

#[test]
fn a_thread_that_waits_anyhow_writes_what_is_queued() {
    let log = Log::begun(Mode::Durable);
    let tickets = [log.submit(), log.submit()];
    tickets[1].write_here();
    assert_eq!(tickets.map(|ticket| ticket.peek()), [Some(Ok(())); 2]);
    assert_eq!(log.shared.unsynced_bytes.load(Ordering::Relaxed), lock(&log.shared.active).1 - HEADER_LEN as u64);
}

#[test]
fn slow_writes_leave_the_next_ones_to_the_writer_thread() {
    let log = Log::begun(Mode::Durable);
    log.disk.set(|faults| faults.write_takes = Duration::from_millis(50));
    let slow = log.submit();
    slow.write_here();
    assert_eq!(slow.peek(), Some(Ok(())));
    log.disk.set(|faults| faults.write_takes = Duration::ZERO);
    let next = log.submit();
    next.write_here();
    assert_eq!(next.peek(), None);
    log.write_as_thread();
    assert_eq!(next.peek(), Some(Ok(())));
}

#[test]
fn nobody_waits_for_whoever_writes_now() {
    let log = Log::begun(Mode::Durable);
    let ticket = log.submit();
    let writing = lock(&log.shared.tail);
    ticket.write_here();
    drop(writing);
    assert_eq!(ticket.peek(), None);
}

#[test]
fn strict_leaves_it_to_the_threads() {
    let log = Log::begun(Mode::Strict);
    let ticket = log.submit();
    ticket.write_here();
    assert_eq!(lock(&log.shared.queue).last, 2);
    assert!(!lock(&log.shared.queue).buffer.is_empty());
}

#[test]
fn a_write_that_fails_here_fails_its_ticket() {
    let log = Log::begun(Mode::Durable);
    log.disk.set(|faults| faults.write_error = Some(std::io::ErrorKind::Other));
    let ticket = log.submit();
    ticket.write_here();
    assert!(matches!(ticket.peek(), Some(Err(_))));
}
