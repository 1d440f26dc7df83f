//! How far a copy is, read from its journal by somebody who does not copy, and what was proved of it since.
//!
//! Proofs stand in a table of the journal that is made with the first of them: a comparison of all rows (`verify`), and of what is found (`eval`).

use std::fs::{File, TryLockError};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use serde::Serialize;

use crate::journal::{Aside, Begun, JOURNAL, Journal, JournalError};
use crate::run::LOCK;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A process is at it.
    Running,
    /// Nobody is at it, and something is left.
    Stopped,
    /// All is written.
    Through,
}

/// What was proved of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// `verify` or `eval`.
    pub kind: String,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// `pass`, `fail` or `undecided`.
    pub verdict: String,
    /// What it came to, in words.
    pub words: String,
}

/// A run, as its journal has it.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What it was begun for.
    pub begun: Begun,
    /// How far it is.
    pub state: State,
    /// Rows that the target acknowledged.
    pub n_done: u64,
    /// Rows that were put aside.
    pub n_aside: u64,
    /// Partitions that are through, and all of them.
    pub partitions: (u64, u64),
    /// The sum of the digests of what was written.
    pub digest: u128,
    /// Rows that were put aside, as many as were asked for.
    pub asides: Vec<Aside>,
    /// What was proved, the newest of each kind.
    pub proofs: Vec<Proof>,
}

/// What stands in the journal of a directory; none where no copy was begun in it. Nothing is written.
///
/// # Errors
/// Where there is no journal, or it cannot be read.
pub fn standing(directory: &Path, n_asides: u32) -> Result<Option<Standing>, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(JOURNAL), flags)?;
    let proofs = proofs(&connection)?;
    let journal = Journal::over(connection);
    let Some(begun) = journal.begun()? else { return Ok(None) };
    let progress = journal.progress()?;
    let state = match journal.is_sealed()? {
        true => State::Through,
        false if is_held(directory) => State::Running,
        false => State::Stopped,
    };
    let n_through = progress.iter().filter(|part| part.is_done).count();
    Ok(Some(Standing {
        begun,
        state,
        n_done: progress.iter().map(|part| part.n_rows).sum(),
        n_aside: journal.n_aside()?,
        partitions: (n_through as u64, progress.len() as u64),
        digest: progress.iter().fold(0, |sum, part| sum.wrapping_add(part.digest)),
        asides: journal.asides(n_asides)?,
        proofs,
    }))
}

/// Whether a process is at the copy of a directory.
fn is_held(directory: &Path) -> bool {
    File::open(directory.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Keeps what was proved of the run of a directory, in place of what was proved before of the kind.
///
/// # Errors
/// Where there is no journal, or it cannot be written.
pub fn prove(directory: &Path, proof: &Proof) -> Result<(), JournalError> {
    let connection = Connection::open_with_flags(directory.join(JOURNAL), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch("CREATE TABLE IF NOT EXISTS proof (kind TEXT PRIMARY KEY, at_us INTEGER NOT NULL, verdict TEXT NOT NULL, words TEXT NOT NULL)")?;
    let sql = "INSERT OR REPLACE INTO proof (kind, at_us, verdict, words) VALUES (?1, ?2, ?3, ?4)";
    connection.execute(sql, params![proof.kind, proof.at_us.cast_signed(), proof.verdict, proof.words])?;
    Ok(())
}

fn proofs(connection: &Connection) -> Result<Vec<Proof>, JournalError> {
    let is_there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'proof')";
    if !connection.query_row(is_there, [], |row| row.get::<_, bool>(0))? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT kind, at_us, verdict, words FROM proof ORDER BY kind DESC")?;
    let found = statement.query_map([], |row| {
        let at_us: i64 = row.get(1)?;
        Ok(Proof { kind: row.get(0)?, at_us: at_us.cast_unsigned(), verdict: row.get(2)?, words: row.get(3)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::copy::Limits;
    use crate::run::Run;
    use crate::stores::Address;

    #[test]
    fn a_run_is_seen_from_outside_as_its_journal_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let rows: String = (0..7).map(|n| format!("{{\"id\":\"r{n}\",\"vector\":[1,{n}]}}\n")).collect();
        std::fs::write(dir.path().join("rows.jsonl"), rows).unwrap();
        let address = |text: String| Address::parse(&text).unwrap();
        let source = address(format!("jsonl:{}", dir.path().join("rows.jsonl").display()));
        let target = address(format!("jsonl:{}", dir.path().join("to").display()));
        let run_dir = dir.path().join("run");
        assert!(standing(&run_dir, 3).is_err());
        let mut run = Run::open(&source, &target, &run_dir, &BTreeMap::new()).unwrap();
        let seen = standing(&run_dir, 3).unwrap().unwrap();
        assert_eq!((seen.state, seen.n_done, seen.begun.n_rows, seen.proofs), (State::Running, 0, 7, vec![]));
        drop(run);
        assert_eq!(standing(&run_dir, 3).unwrap().unwrap().state, State::Stopped);
        run = Run::open(&source, &target, &run_dir, &BTreeMap::new()).unwrap();
        let tally = run.copy(Limits { max_aside: 0, batch_rows: None }, |_| {}).unwrap();
        drop(run);
        let seen = standing(&run_dir, 3).unwrap().unwrap();
        assert_eq!((seen.state, seen.n_done, seen.digest), (State::Through, 7, tally.digest));
        assert_eq!(seen.partitions.0, seen.partitions.1);
        let proof =
            |verdict: &str| Proof { kind: "verify".into(), at_us: 5, verdict: verdict.into(), words: "w".into() };
        prove(&run_dir, &proof("fail")).unwrap();
        prove(&run_dir, &proof("pass")).unwrap();
        assert_eq!(standing(&run_dir, 3).unwrap().unwrap().proofs, [proof("pass")]);
    }
}
