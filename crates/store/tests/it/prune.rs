//! A process that takes things from the record and is killed: what is there afterwards is whole, and the next one ends the work.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use store::{Database, Part, Pruner};
use wire::ids::ExchangeId;

const CHILD_STORE: &str = "CROSSFADE_STORE_TEST_PRUNE";
const N_EXCHANGES: u64 = 6000;

/// Not a test of its own: the body of the child. Without the variable it does nothing.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD_STORE) else { return };
    let mut pruner = Pruner::open(Path::new(&path)).unwrap();
    let mut after = None;
    loop {
        let turn = pruner.turn(Part::Exchanges, (after, u64::MAX), &[]).unwrap();
        after = turn.after;
        if after.is_none() {
            return;
        }
    }
}

fn fill(path: &Path) {
    drop(Database::open(path).unwrap());
    let mut connection = Connection::open(path).unwrap();
    let transaction = connection.transaction().unwrap();
    for n in 0..N_EXCHANGES {
        let id = ExchangeId::new(n, [1; 10]).to_bytes();
        transaction.execute("INSERT INTO exchanges (id, outcome) VALUES (?1, 'complete')", [id]).unwrap();
        transaction.execute("INSERT INTO bodies VALUES (?1, 0, 1, zeroblob(3000))", [id]).unwrap();
        let attempt = "INSERT INTO attempts (exchange_id, shadow, idx, role, simulated, truncated, answer_bytes)
            VALUES (?1, 0, ?2, 'live', 0, 0, 0)";
        for idx in 0..2 {
            transaction.execute(attempt, params![id, idx]).unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// How many exchanges there are, each with all that belongs to it and nothing without one.
#[track_caller]
fn whole(path: &Path) -> u64 {
    let connection = Connection::open(path).unwrap();
    let count = |table: &str| -> u64 {
        let n: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        n.try_into().unwrap()
    };
    let n = count("exchanges");
    assert_eq!((count("bodies"), count("attempts")), (n, 2 * n));
    let state: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(state, "ok");
    n
}

#[test]
fn a_death_in_the_middle_leaves_whole_exchanges_and_the_next_one_ends_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.db");
    fill(&path);
    let mut left = N_EXCHANGES;
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "prune::child", "--nocapture", "--test-threads=1"])
            .env(CHILD_STORE, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed as soon as it is seen to have taken something, wherever it is then.
        let watching = Connection::open(&path).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let n: i64 = watching.query_row("SELECT count(*) FROM exchanges", [], |row| row.get(0)).unwrap();
            if n.unsigned_abs() < left || child.try_wait().unwrap().is_some() {
                break;
            }
            assert!(Instant::now() < until, "nothing went");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(watching);
        let now = whole(&path);
        assert!(now < left, "{now} of {left}");
        left = now;
    }
    let database = Database::open(&path).unwrap();
    assert_eq!(database.prunable(Part::Exchanges, u64::MAX, &[]).unwrap().exchanges, left);
    let mut pruner = Pruner::open(&path).unwrap();
    while pruner.turn(Part::Exchanges, (None, u64::MAX), &[]).unwrap().after.is_some() {}
    assert_eq!(whole(&path), 0);
}
