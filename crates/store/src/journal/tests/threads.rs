//! The journal with its threads: what a caller sees.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wire::ids::ExchangeId;
use wire::record::{OutcomeRecord, Record};

use crate::files::Files;
use crate::files::simulated::SimulatedFiles;
use crate::journal::buffer::Buffer;
use crate::journal::reader::ReadOutcome;
use crate::journal::{Config, Journal, Mode, SubmitError};

fn record(number: u64) -> Record {
    let id = ExchangeId::from_u128(number.into());
    Record::Outcome(OutcomeRecord { id, at_us: number, name: "n".repeat(50), value: 1.0, source: "test".into() })
}

fn open(disk: &SimulatedFiles, mode: Mode) -> Journal {
    let files: Arc<dyn Files> = Arc::new(disk.clone());
    let config = Config { mode, files: Some(files), fsync_every: Duration::from_millis(1), ..Config::default() };
    Journal::open("simulated", config).unwrap().0
}

/// Everything in the journal: record numbers, and the gaps' counts.
fn read_all(journal: &Journal) -> (Vec<u64>, u64) {
    let mut reader = journal.reader();
    let (mut numbers, mut missing) = (Vec::new(), 0);
    loop {
        match reader.next().unwrap() {
            ReadOutcome::Record(payload) => match postcard::from_bytes(payload).unwrap() {
                Record::Outcome(outcome) => numbers.push(outcome.at_us),
                Record::Gap(gap) => missing += gap.n,
                other => panic!("{other:?}"),
            },
            ReadOutcome::NextSegment => {}
            ReadOutcome::CaughtUp => return (numbers, missing),
        }
    }
}

#[test]
fn a_ticket_resolves_and_the_record_is_read_back() {
    for mode in [Mode::Durable, Mode::Strict, Mode::BestEffort] {
        let journal = open(&SimulatedFiles::new(1), mode);
        for number in 0..100 {
            journal.submit(&record(number)).unwrap().wait_blocking().unwrap();
        }
        if mode == Mode::BestEffort {
            journal.shutdown();
        }
        assert_eq!(read_all(&journal).0, (0..100).collect::<Vec<_>>(), "{mode:?}");
        assert_eq!(journal.counts().records, 100);
    }
}

#[test]
fn many_tasks_wait_on_two_threads_and_all_wake() {
    for (mode, writes_here) in [(Mode::Strict, false), (Mode::Durable, false), (Mode::Durable, true)] {
        many_tasks_wait(mode, writes_here);
    }
}

fn many_tasks_wait(mode: Mode, writes_here: bool) {
    let journal = open(&SimulatedFiles::new(1), mode);
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(tokio::task::LocalSet::new().run_until(async move {
                    let tasks: Vec<_> = (0..100)
                        .map(|task| {
                            let journal = journal.clone();
                            tokio::task::spawn_local(async move {
                                for n in 0..20 {
                                    let number = thread * 10_000 + task * 100 + n;
                                    let ticket = journal.submit(&record(number)).unwrap();
                                    if writes_here && number % 3 == 0 {
                                        ticket.write_here();
                                    }
                                    ticket.wait().await.unwrap();
                                }
                            })
                        })
                        .collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                }));
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(read_all(&journal).0.len(), 4000);
}

#[test]
fn a_dropped_ticket_leaves_nobody_waiting() {
    let journal = open(&SimulatedFiles::new(1), Mode::Strict);
    for number in 0..50 {
        let mut ticket = Box::pin(journal.submit(&record(number)).unwrap());
        let mut context = Context::from_waker(Waker::noop());
        let first = ticket.as_mut().poll(&mut context);
        assert!(matches!(first, Poll::Pending | Poll::Ready(Ok(()))));
    }
    journal.submit(&record(50)).unwrap().wait_blocking().unwrap();
    assert!(journal.inner.shared.waiters.lock().unwrap().is_empty());
}

#[test]
fn a_full_disk_fails_tickets_and_recovers_by_itself() {
    let disk = SimulatedFiles::new(1);
    let journal = open(&disk, Mode::Durable);
    journal.submit(&record(0)).unwrap().wait_blocking().unwrap();
    disk.set(|faults| faults.space = Some(30));
    for number in 1..10 {
        let error = journal.submit(&record(number)).unwrap().wait_blocking().unwrap_err();
        assert!(matches!(error.kind, std::io::ErrorKind::StorageFull | std::io::ErrorKind::Other), "{error:?}");
    }
    disk.set(|faults| faults.space = None);
    journal.submit(&record(10)).unwrap().wait_blocking().unwrap();
    assert_eq!(read_all(&journal).0, [0, 10]);
    assert_eq!(journal.counts().failed, 9);
}

#[test]
fn best_effort_counts_what_a_full_disk_drops_and_leaves_a_gap() {
    let disk = SimulatedFiles::new(1);
    let journal = open(&disk, Mode::BestEffort);
    disk.set(|faults| faults.space = Some(0));
    for number in 0..7 {
        journal.submit(&record(number)).unwrap().wait_blocking().unwrap();
    }
    while journal.counts().dropped < 7 {
        std::thread::yield_now();
    }
    disk.set(|faults| faults.space = None);
    journal.submit(&record(7)).unwrap().wait_blocking().unwrap();
    journal.shutdown();
    assert_eq!(read_all(&journal), (vec![7], 7));
}

#[test]
fn a_failed_sync_poisons_the_segment_and_the_records_are_written_again() {
    let disk = SimulatedFiles::new(1);
    let journal = open(&disk, Mode::Strict);
    journal.submit(&record(0)).unwrap().wait_blocking().unwrap();
    disk.set(|faults| faults.n_failing_syncs = 1);
    journal.submit(&record(1)).unwrap().wait_blocking().unwrap();
    disk.power_loss();
    drop(journal);
    let journal = open(&disk, Mode::Strict);
    let (mut numbers, _) = read_all(&journal);
    numbers.dedup();
    assert_eq!(numbers, [0, 1]);
    assert_eq!(disk.list().unwrap().len(), 2, "the poisoned segment is not written to again");
}

#[test]
fn what_a_failed_sync_makes_unreadable_is_counted_as_lost() {
    let disk = SimulatedFiles::new(1);
    let journal = open(&disk, Mode::Durable);
    journal.submit(&record(0)).unwrap().wait_blocking().unwrap();
    while journal.counts().unsynced_bytes > 0 {
        std::thread::yield_now();
    }
    disk.set(|faults| (faults.n_failing_syncs, faults.forgets_pages) = (1, true));
    journal.submit(&record(1)).unwrap().wait_blocking().unwrap();
    while journal.counts().unsynced_bytes > 0 {
        std::thread::yield_now();
    }
    journal.submit(&record(2)).unwrap().wait_blocking().unwrap();
    journal.shutdown();
    assert_eq!(journal.counts().failed, 1);
    assert_eq!(journal.counts().unsynced_bytes, 0);
    assert_eq!(read_all(&journal).0, [0, 2]);
}

#[test]
fn a_request_and_its_quick_answer_are_one_write() {
    let journal = open(&SimulatedFiles::new(1), Mode::Durable);
    // The first record wakes the writer; after it the writer looks by itself for a while.
    journal.submit(&record(0)).unwrap().wait_blocking().unwrap();
    let mut n_together = 0;
    for number in 1..=20 {
        let before = journal.counts().batches;
        let request = journal.submit(&record(2 * number)).unwrap();
        let answer = journal.submit(&record(2 * number + 1)).unwrap();
        answer.wait_blocking().unwrap();
        assert_eq!(request.peek(), Some(Ok(())));
        n_together += u32::from(journal.counts().batches - before == 1);
    }
    // Now and then the writer looks exactly between the two.
    assert!(n_together >= 10, "{n_together} of 20");
}

#[test]
fn a_record_that_nobody_waits_for_is_written_soon() {
    let journal = open(&SimulatedFiles::new(1), Mode::Durable);
    for number in 0..3 {
        let ticket = journal.submit(&record(number)).unwrap();
        while ticket.peek().is_none() {
            std::thread::yield_now();
        }
    }
    assert_eq!(read_all(&journal).0, [0, 1, 2]);
}

#[test]
fn strict_fails_its_tickets_when_no_sync_works() {
    let disk = SimulatedFiles::new(1);
    let journal = open(&disk, Mode::Strict);
    disk.set(|faults| faults.n_failing_syncs = 2);
    journal.submit(&record(1)).unwrap().wait_blocking().unwrap_err();
    journal.submit(&record(2)).unwrap().wait_blocking().unwrap();
}

#[test]
fn durable_keeps_what_it_acknowledged_while_syncs_fail() {
    let disk = SimulatedFiles::new(1);
    let journal = open(&disk, Mode::Durable);
    // Fewer than the failures at which a closing journal gives up.
    disk.set(|faults| faults.n_failing_syncs = 2);
    for number in 0..20 {
        journal.submit(&record(number)).unwrap().wait_blocking().unwrap();
    }
    journal.shutdown();
    disk.power_loss();
    let journal = open(&disk, Mode::Durable);
    let (mut numbers, _) = read_all(&journal);
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
}

#[test]
fn the_queue_and_the_spool_are_bounded() {
    let disk = SimulatedFiles::new(1);
    let files: Arc<dyn Files> = Arc::new(disk.clone());
    let config = Config { files: Some(files), max_spool_bytes: 1000, ..Config::default() };
    let (journal, _) = Journal::open("simulated", config.clone()).unwrap();
    let mut refused = None;
    for number in 0..100 {
        match journal.submit(&record(number)) {
            Ok(ticket) => ticket.wait_blocking().unwrap(),
            Err(error) => refused = Some(error),
        }
    }
    assert_eq!(refused, Some(SubmitError::SpoolFull));
    assert!(journal.counts().spool_bytes < 1200);
    drop(journal);
    let config = Config { max_queue_bytes: 0, max_spool_bytes: 1 << 20, ..config };
    let (journal, _) = Journal::open("simulated", config).unwrap();
    assert_eq!(journal.submit(&record(1)).err(), Some(SubmitError::QueueFull));
}

#[test]
fn after_shutdown_submissions_are_refused_and_everything_is_synced() {
    let disk = SimulatedFiles::new(1);
    let journal = open(&disk, Mode::Durable);
    let tickets: Vec<_> = (0..100).map(|number| journal.submit(&record(number)).unwrap()).collect();
    journal.shutdown();
    assert_eq!(journal.submit(&record(100)).err(), Some(SubmitError::Closed));
    assert!(tickets.into_iter().all(|ticket| ticket.wait_blocking().is_ok()));
    disk.power_loss();
    assert_eq!(read_all(&open(&disk, Mode::Durable)).0.len(), 100);
}

#[test]
fn a_torn_tail_is_cut_at_every_length() {
    let disk = SimulatedFiles::new(1);
    let journal = open(&disk, Mode::Strict);
    for number in 0..3 {
        journal.submit(&record(number)).unwrap().wait_blocking().unwrap();
    }
    drop(journal);
    let mut whole = Buffer::default();
    whole.push(&record(2)).unwrap();
    let (seq, len) = disk.list().unwrap()[0];
    for cut in 1..whole.len() as u64 {
        disk.truncate(seq, len - cut).unwrap();
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let (journal, recovered) = Journal::open("x", Config { files: Some(files), ..Config::default() }).unwrap();
        let torn = (whole.len() as u64 - cut) % whole.len() as u64;
        assert_eq!((recovered.records_in_last, recovered.unacknowledged_bytes), (2, if cut == 1 { torn } else { 0 }));
        assert_eq!(read_all(&journal).0, [0, 1]);
    }
}

#[test]
fn a_large_spool_is_not_read_on_start() {
    let dir = tempfile::tempdir().unwrap();
    // Ten gigabytes of earlier segments, as holes: reading them would take a minute.
    for seq in 1..=160 {
        let file = std::fs::File::create(dir.path().join(format!("{seq:016}.seg"))).unwrap();
        file.set_len(64 << 20).unwrap();
    }
    let began = std::time::Instant::now();
    let (journal, recovered) = Journal::open(dir.path(), Config::default()).unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(recovered.segments, 160);
    assert_eq!(journal.submit(&record(1)).err(), None);
}
