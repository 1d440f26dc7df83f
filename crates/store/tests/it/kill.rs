//! A child process records exchanges and prints each one it was promised; the parent kills it and counts.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use store::{Config, Database, ExchangeFilter, Journal, Shipper, ShipperConfig};
use wire::ids::ExchangeId;
use wire::private::Private;
use wire::record::{AnswerRecord, Endpoint, ExchangeOutcome, Record, RequestRecord};

const CHILD_DIR: &str = "CROSSFADE_STORE_TEST_DIR";
const N_THREADS: u64 = 4;

/// Not a test of its own: the body of the child. Without the variable it does nothing.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let (journal, database) = open(Path::new(&dir));
    let quick = ShipperConfig { every: Duration::from_millis(2), batch_records: 50, ..ShipperConfig::default() };
    let _shipper = Shipper::start(&journal, &database, quick).unwrap();
    let life = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..N_THREADS {
            let journal = &journal;
            scope.spawn(move || {
                for n in 0.. {
                    let id = ExchangeId::from_u128(u128::from(life) << 64 | u128::from(n * N_THREADS + thread));
                    journal.submit(&request(id)).unwrap().wait_blocking().unwrap();
                    journal.submit(&answer(id)).unwrap().wait_blocking().unwrap();
                    std::io::stdout().write_all(format!("ack {id}\n").as_bytes()).unwrap();
                }
            });
        }
    });
}

#[test]
fn kills_at_random_moments_lose_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..30_u64 {
        let mut child = start(dir.path(), None);
        std::thread::sleep(Duration::from_millis(15 + round * 7 % 50));
        child.kill().unwrap();
        collect(dir.path(), child, &mut acknowledged);
    }
    assert!(acknowledged.len() > 100, "only {}", acknowledged.len());
    assert_eq!(lost(dir.path(), &acknowledged), 0, "of {}", acknowledged.len());
}

#[cfg(feature = "failpoints")]
#[test]
fn a_death_at_every_failpoint_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    let here = store::failpoints::names().iter().filter(|name| !name.starts_with("control."));
    for name in here {
        for nth in [1, 2, 5] {
            let mut child = start(dir.path(), Some(&format!("{name}:{nth}")));
            let until = std::time::Instant::now() + Duration::from_secs(10);
            while child.try_wait().unwrap().is_none() {
                assert!(std::time::Instant::now() < until, "{name}:{nth} was not reached");
                std::thread::yield_now();
            }
            collect(dir.path(), child, &mut acknowledged);
        }
    }
    assert_eq!(lost(dir.path(), &acknowledged), 0, "of {}", acknowledged.len());
}

#[cfg(feature = "failpoints")]
#[test]
fn a_journal_that_acknowledges_before_it_writes_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for _ in 0..5 {
        let mut child = start(dir.path(), Some(store::failpoints::ACK_BEFORE_WRITE));
        std::thread::sleep(Duration::from_millis(60));
        child.kill().unwrap();
        collect(dir.path(), child, &mut acknowledged);
    }
    assert_ne!(lost(dir.path(), &acknowledged), 0, "of {}", acknowledged.len());
}

fn start(dir: &Path, failpoint: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kill::child", "--nocapture", "--test-threads=1"]);
    command.env(CHILD_DIR, dir).stdout(Stdio::from(output(dir))).stderr(Stdio::null());
    if let Some(failpoint) = failpoint {
        command.env("CROSSFADE_FAILPOINT", failpoint);
    }
    command.spawn().unwrap()
}

/// A file rather than a pipe: nobody needs to empty it while the child runs.
fn output(dir: &Path) -> std::fs::File {
    std::fs::File::create(dir.join("acknowledged.txt")).unwrap()
}

fn collect(dir: &Path, mut child: Child, acknowledged: &mut BTreeSet<ExchangeId>) {
    assert!(!child.wait().unwrap().success());
    let text = std::fs::read_to_string(dir.join("acknowledged.txt")).unwrap();
    // A line cut by the kill was not heard.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    acknowledged
        .extend(whole.lines().filter_map(|line| line.strip_prefix("ack ")).map(|id| id.parse::<ExchangeId>().unwrap()));
}

/// Restarts on what is left, ships it, and counts acknowledged exchanges that are not there once and complete.
fn lost(dir: &Path, acknowledged: &BTreeSet<ExchangeId>) -> usize {
    let began = std::time::Instant::now();
    let (journal, database) = open(dir);
    assert!(began.elapsed() < Duration::from_secs(30), "restart took {:?}", began.elapsed());
    let shipper = Shipper::start(&journal, &database, ShipperConfig::default()).unwrap();
    assert!(shipper.flush(Duration::from_secs(60)));
    assert_eq!(shipper.counts().undecodable, 0);
    let complete = Some("complete".to_owned());
    let filter = ExchangeFilter { outcome: complete, limit: Some(u32::MAX), ..ExchangeFilter::default() };
    let rows = database.list(&filter).unwrap();
    let there: BTreeSet<_> = rows.iter().filter(|row| row.route.is_some()).map(|row| row.id).collect();
    assert_eq!(there.len(), rows.len(), "an exchange is there twice, or without its request");
    let counts = database.counts().unwrap();
    assert_eq!(counts.pending, 0, "a request of a dead process is closed");
    acknowledged.difference(&there).count()
}

fn open(dir: &Path) -> (Journal, Database) {
    let config = Config { segment_bytes: 20_000, ..Config::default() };
    let (journal, _) = Journal::open(dir.join("journal"), config).unwrap();
    (journal, Database::open(dir.join("crossfade.db")).unwrap())
}

fn request(id: ExchangeId) -> Record {
    Record::Request(RequestRecord {
        id,
        received_at_us: 1,
        endpoint: Endpoint::ChatCompletions,
        route: "gpt-4o".to_owned(),
        principal: None,
        streamed: false,
        rollout: None,
        body: Private::from(vec![b'x'; 300]),
        client_retry: 0,
        asked: None,
    })
}

fn answer(id: ExchangeId) -> Record {
    Record::Answer(AnswerRecord {
        id,
        finished_at_us: 2,
        status: 200,
        outcome: ExchangeOutcome::Complete,
        failure: None,
        served_by: None,
        time_to_first_token_us: None,
        duration_us: 1,
        usage: None,
        decisions: Vec::new(),
        adaptations: Vec::new(),
        attempts: Vec::new(),
        body: Private::from(vec![b'y'; 300]),
        cost: None,
        declined: Vec::new(),
    })
}
