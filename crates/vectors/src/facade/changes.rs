//! The file in which moves of indexes stand: how far each is, who turned it, what the other store does not have yet, and what was read of both.
//!
//! A change is written here, and is on the disk, before the store that answers is given it; it is taken out when the other store has acknowledged it. So neither a kill nor a store that is
//! away loses one.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::pair::Mode;
use crate::row::Row;
use crate::stores::{from_line, to_line};

/// How long a connection waits for another one's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// Why the file fails.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// The database.
    #[error("could not use the file of the moves of indexes")]
    Sqlite(#[from] rusqlite::Error),
    /// What stands in it.
    #[error("the file of the moves of indexes holds something else than it should: {0}")]
    Other(String),
}

impl From<serde_json::Error> for ChangesError {
    fn from(error: serde_json::Error) -> ChangesError {
        ChangesError::Other(error.to_string())
    }
}

/// A connection to the file.
pub struct Changes {
    connection: Connection,
}

/// A move: which index, from where, to where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The index.
    pub index: String,
    /// The address of the store that it was served from before.
    pub source: String,
    /// The address of the one that it goes to.
    pub target: String,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The mode.
    pub mode: Mode,
    /// The number of the event that it began with; 0 before any.
    pub epoch: i64,
}

/// Somebody turned a move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub n: i64,
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// What it was.
    pub from: Mode,
    /// What it became.
    pub to: Mode,
    /// Who.
    pub actor: String,
    /// Why, where that was said.
    pub reason: Option<String>,
    /// What it was decided by.
    pub evidence: Option<serde_json::Value>,
}

/// What somebody wants a move to become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// Which.
    pub of: Move,
    /// What it shall become.
    pub to: Mode,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// What it is decided by.
    pub evidence: Option<serde_json::Value>,
    /// Whether it is done though changes wait that the store which answers now no longer gives, or that the other refused.
    pub is_forced: bool,
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is so, since the event of this number.
    Turned(i64),
    /// It stays as it was.
    Refused(String),
}

/// A change that the other store does not have yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its number: changes of one row are made in this order.
    pub n: i64,
    /// The namespace.
    pub namespace: String,
    /// The identifier.
    pub id: String,
    /// What the row is then; none of one that is gone.
    pub row: Option<Row>,
}

/// How many changes the other store does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Those that will be written.
    pub n_waiting: u64,
    /// Those that it did not take.
    pub n_refused: u64,
}

/// A query that was asked of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// What tells it from other queries.
    pub key: [u8; 16],
    /// What the source found, the nearest first.
    pub source: Vec<String>,
    /// What the target found.
    pub target: Vec<String>,
    /// How long each took, in microseconds.
    pub took_us: (u64, u64),
    /// Why the target did not answer.
    pub trouble: Option<String>,
}

/// Microseconds since 1970.
#[must_use]
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

const TABLES: &str = "PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS move (name TEXT PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL, mode TEXT NOT NULL, epoch INTEGER NOT NULL,
  n_lost INTEGER NOT NULL DEFAULT 0, trouble TEXT);
CREATE TABLE IF NOT EXISTS event (n INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
  was TEXT NOT NULL, became TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT, evidence TEXT);
CREATE TABLE IF NOT EXISTS change (n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, namespace TEXT NOT NULL, id TEXT NOT NULL, row TEXT, refused TEXT);
CREATE INDEX IF NOT EXISTS change_of ON change (name, n) WHERE refused IS NULL;
CREATE INDEX IF NOT EXISTS change_refused ON change (name, namespace, id) WHERE refused IS NOT NULL;
CREATE TABLE IF NOT EXISTS read (name TEXT NOT NULL, epoch INTEGER NOT NULL, n INTEGER NOT NULL, key BLOB NOT NULL, at_us INTEGER NOT NULL, source TEXT NOT NULL,
  target TEXT NOT NULL, source_us INTEGER NOT NULL, target_us INTEGER NOT NULL, trouble TEXT, PRIMARY KEY (name, epoch, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wish (n INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, name TEXT NOT NULL, wish TEXT NOT NULL, outcome TEXT);";

impl Changes {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn open(path: &Path) -> Result<Changes, ChangesError> {
        // There are rows in it: it is its owner's alone, and what SQLite puts beside it is as it is. Where this fails the next line says why.
        drop(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path));
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch(TABLES)?;
        Ok(Changes { connection })
    }

    /// How far a move is. One between other stores than these is not this one: it has not begun.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn standing(&self, of: &Move) -> Result<Standing, ChangesError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT mode, epoch FROM move WHERE name = ?1 AND source = ?2 AND target = ?3")?;
        let found: Option<(String, i64)> = statement
            .query_row([&of.index, &of.source, &of.target], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((word, epoch)) = found else { return Ok(Standing { mode: Mode::Source, epoch: 0 }) };
        let mode = Mode::of(&word).ok_or_else(|| ChangesError::Other(format!("a mode `{word}`")))?;
        Ok(Standing { mode, epoch })
    }

    /// Turns a move: one transaction, with the event that tells it.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn turn(&mut self, wish: &Wish) -> Result<i64, ChangesError> {
        let was = self.standing(&wish.of)?.mode;
        let transaction = self.connection.transaction()?;
        let Move { index, source, target } = &wish.of;
        let evidence = wish.evidence.as_ref().map(serde_json::to_string).transpose()?;
        transaction.execute(
            "INSERT INTO event (at_us, name, source, target, was, became, actor, reason, evidence) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![now_us(), index, source, target, was.word(), wish.to.word(), wish.actor, wish.reason, evidence],
        )?;
        let epoch = transaction.last_insert_rowid();
        transaction.execute(
            "INSERT INTO move (name, source, target, mode, epoch) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (name) DO UPDATE SET source = ?2, target = ?3, mode = ?4, epoch = ?5, n_lost = 0, trouble = NULL",
            params![index, source, target, wish.to.word(), epoch],
        )?;
        if was.answers() != wish.to.answers() {
            // Turned round by force: what the other store did not get stays in the file, under a name of its own.
            transaction.execute("UPDATE change SET name = name || '@' || ?2 WHERE name = ?1", params![index, epoch])?;
        } else if !wish.to.keeps() {
            // Given up: the target gets nothing any more.
            transaction.execute("DELETE FROM change WHERE name = ?1", [index])?;
        }
        transaction.commit()?;
        Ok(epoch)
    }

    /// Keeps changes for the other store, on the disk when this returns; the numbers of the first and the last.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn keep(
        &mut self,
        index: &str,
        changes: impl IntoIterator<Item = (String, String, Option<Row>)>,
    ) -> Result<(i64, i64), ChangesError> {
        let transaction = self.connection.transaction()?;
        let (mut first, mut last) = (None, 0);
        {
            let mut statement =
                transaction.prepare_cached("INSERT INTO change (name, namespace, id, row) VALUES (?1, ?2, ?3, ?4)")?;
            for (namespace, id, row) in changes {
                last = statement.insert(params![index, namespace, id, row.as_ref().map(to_line)])?;
                first = first.or(Some(last));
            }
        }
        transaction.commit()?;
        Ok((first.unwrap_or(last), last))
    }

    /// Changes that were kept before the one of the number `below`, in order, at most so many.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn waiting(&self, index: &str, below: i64, limit: u32) -> Result<Vec<Waiting>, ChangesError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT n, namespace, id, row FROM change WHERE name = ?1 AND refused IS NULL AND n < ?2 ORDER BY n LIMIT ?3",
        )?;
        let mut found = statement.query(params![index, below, limit])?;
        let mut waiting = Vec::new();
        while let Some(row) = found.next()? {
            let line: Option<String> = row.get(3)?;
            let read = line.map(|line| from_line(&line)).transpose().map_err(ChangesError::Other)?;
            waiting.push(Waiting { n: row.get(0)?, namespace: row.get(1)?, id: row.get(2)?, row: read });
        }
        Ok(waiting)
    }

    /// Takes changes out that the other store has acknowledged, and what it refused of the same rows before.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn acknowledge(&mut self, index: &str, waiting: &[Waiting]) -> Result<(), ChangesError> {
        let transaction = self.connection.transaction()?;
        for change in waiting {
            transaction.prepare_cached("DELETE FROM change WHERE n = ?1")?.execute([change.n])?;
            transaction
                .prepare_cached("DELETE FROM change WHERE name = ?1 AND namespace = ?2 AND id = ?3 AND refused IS NOT NULL AND n < ?4")?
                .execute(params![index, change.namespace, change.id, change.n])?;
        }
        transaction.execute("UPDATE move SET trouble = NULL WHERE name = ?1 AND trouble IS NOT NULL", [index])?;
        transaction.commit()?;
        Ok(())
    }

    /// Takes changes out that did not happen.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn forget(&self, (first, last): (i64, i64)) -> Result<(), ChangesError> {
        self.connection.execute("DELETE FROM change WHERE n BETWEEN ?1 AND ?2", [first, last])?;
        Ok(())
    }

    /// The other store does not take this change: it stays here with the reason.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn refuse(&self, n: i64, why: &str) -> Result<(), ChangesError> {
        self.connection.execute("UPDATE change SET refused = ?2 WHERE n = ?1", params![n, why])?;
        Ok(())
    }

    /// Gives what was refused to the other store once more.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn try_refused_again(&self, index: &str) -> Result<usize, ChangesError> {
        Ok(self
            .connection
            .execute("UPDATE change SET refused = NULL WHERE name = ?1 AND refused IS NOT NULL", [index])?)
    }

    /// What keeps changes from the other store.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn note_trouble(&self, index: &str, why: &str) -> Result<(), ChangesError> {
        self.connection.execute("UPDATE move SET trouble = ?2 WHERE name = ?1", [index, why])?;
        Ok(())
    }

    /// What kept changes from the other store last.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn trouble(&self, index: &str) -> Result<Option<String>, ChangesError> {
        let mut statement = self.connection.prepare_cached("SELECT trouble FROM move WHERE name = ?1")?;
        Ok(statement.query_row([index], |row| row.get(0)).optional()?.flatten())
    }

    /// How many changes the other store does not have.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn counts(&self, index: &str) -> Result<Counts, ChangesError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT refused IS NOT NULL, count(*) FROM change WHERE name = ?1 GROUP BY 1")?;
        let found: BTreeMap<bool, i64> =
            statement.query_map([index], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let of = |is_refused: bool| found.get(&is_refused).copied().unwrap_or(0).cast_unsigned();
        Ok(Counts { n_waiting: of(false), n_refused: of(true) })
    }

    /// Changes that were refused, each as its place and the reason, at most so many.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn refused(&self, index: &str, limit: u32) -> Result<Vec<(String, String)>, ChangesError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT namespace, id, refused FROM change WHERE name = ?1 AND refused IS NOT NULL ORDER BY n LIMIT ?2",
        )?;
        let found = statement.query_map(params![index, limit], |row| {
            let (namespace, id): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((format!("row `{id}` of namespace `{namespace}`"), row.get(2)?))
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The number of the last change that was kept.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn last(&self) -> Result<i64, ChangesError> {
        Ok(self.connection.query_row("SELECT coalesce(max(n), 0) FROM change", [], |row| row.get(0))?)
    }

    /// What happened to an index, the last first, at most so many.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn events(&self, index: &str, limit: u32) -> Result<Vec<Event>, ChangesError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT n, at_us, was, became, actor, reason, evidence FROM event WHERE name = ?1 ORDER BY n DESC LIMIT ?2",
        )?;
        let mut found = statement.query(params![index, limit])?;
        let mut events = Vec::new();
        while let Some(row) = found.next()? {
            let (was, became, evidence): (String, String, Option<String>) = (row.get(2)?, row.get(3)?, row.get(6)?);
            let mode = |word: &str| Mode::of(word).ok_or_else(|| ChangesError::Other(format!("a mode `{word}`")));
            events.push(Event {
                n: row.get(0)?,
                at_us: row.get(1)?,
                from: mode(&was)?,
                to: mode(&became)?,
                actor: row.get(4)?,
                reason: row.get(5)?,
                evidence: evidence.map(|text| serde_json::from_str(&text)).transpose()?,
            });
        }
        Ok(events)
    }

    /// Asks whoever serves the index to turn the move.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn wish(&self, wish: &Wish) -> Result<i64, ChangesError> {
        let text = serde_json::to_string(wish)?;
        self.connection.execute(
            "INSERT INTO wish (at_us, name, wish) VALUES (?1, ?2, ?3)",
            params![now_us(), wish.of.index, text],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Takes a wish back. None came of it.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn take_back(&self, n: i64) -> Result<bool, ChangesError> {
        Ok(self.connection.execute("DELETE FROM wish WHERE n = ?1 AND outcome IS NULL", [n])? > 0)
    }

    /// The oldest wish of an index that nothing came of yet.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn wished(&self, index: &str) -> Result<Option<(i64, Wish)>, ChangesError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT n, wish FROM wish WHERE name = ?1 AND outcome IS NULL ORDER BY n LIMIT 1")?;
        let found: Option<(i64, String)> =
            statement.query_row([index], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        found.map(|(n, text)| Ok((n, serde_json::from_str(&text)?))).transpose()
    }

    /// Says what came of a wish.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn answer(&self, n: i64, outcome: &Outcome) -> Result<(), ChangesError> {
        self.connection
            .execute("UPDATE wish SET outcome = ?2 WHERE n = ?1", params![n, serde_json::to_string(outcome)?])?;
        Ok(())
    }

    /// What came of a wish.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn outcome(&self, n: i64) -> Result<Option<Outcome>, ChangesError> {
        let found: Option<Option<String>> =
            self.connection.query_row("SELECT outcome FROM wish WHERE n = ?1", [n], |row| row.get(0)).optional()?;
        Ok(found.flatten().map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Whether a query was read already in an epoch.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn has_read(&self, index: &str, epoch: i64, key: &[u8; 16]) -> Result<bool, ChangesError> {
        let mut statement =
            self.connection.prepare_cached("SELECT 1 FROM read WHERE name = ?1 AND epoch = ?2 AND key = ?3")?;
        Ok(statement.exists(params![index, epoch, key])?)
    }

    /// How many queries were read in an epoch.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn n_read(&self, index: &str, epoch: i64) -> Result<u64, ChangesError> {
        let sql = "SELECT count(*) FROM read WHERE name = ?1 AND epoch = ?2";
        let n: i64 = self.connection.query_row(sql, params![index, epoch], |row| row.get(0))?;
        Ok(n.cast_unsigned())
    }

    /// Writes down a query that was asked of both, the first time that it is asked.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn note_read(&self, index: &str, epoch: i64, read: &Read) -> Result<(), ChangesError> {
        let us = |took: u64| i64::try_from(took).unwrap_or(i64::MAX);
        let sql = "INSERT OR IGNORE INTO read VALUES (?1, ?2, (SELECT count(*) FROM read WHERE name = ?1 AND epoch = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.connection.prepare_cached(sql)?.execute(params![
            index,
            epoch,
            read.key,
            now_us(),
            serde_json::to_string(&read.source)?,
            serde_json::to_string(&read.target)?,
            us(read.took_us.0),
            us(read.took_us.1),
            read.trouble
        ])?;
        Ok(())
    }

    /// Queries that came too fast to be asked of both.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn note_lost(&self, index: &str, epoch: i64, n: u64) -> Result<(), ChangesError> {
        self.connection.execute(
            "UPDATE move SET n_lost = n_lost + ?3 WHERE name = ?1 AND epoch = ?2",
            params![index, epoch, n.cast_signed()],
        )?;
        Ok(())
    }

    /// How many came too fast.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn n_lost(&self, index: &str, epoch: i64) -> Result<u64, ChangesError> {
        let sql = "SELECT n_lost FROM move WHERE name = ?1 AND epoch = ?2";
        let n: Option<i64> = self.connection.query_row(sql, params![index, epoch], |row| row.get(0)).optional()?;
        Ok(n.unwrap_or(0).cast_unsigned())
    }

    /// Queries of an epoch in the order that they came, at most so many.
    ///
    /// # Errors
    /// Where the file fails.
    pub fn reads(&self, index: &str, epoch: i64, limit: u32) -> Result<Vec<Read>, ChangesError> {
        let mut statement = self.connection.prepare(
            "SELECT key, source, target, source_us, target_us, trouble FROM read WHERE name = ?1 AND epoch = ?2 ORDER BY n LIMIT ?3",
        )?;
        let mut found = statement.query(params![index, epoch, limit])?;
        let mut reads = Vec::new();
        while let Some(row) = found.next()? {
            let (source, target): (String, String) = (row.get(1)?, row.get(2)?);
            let took_us: (i64, i64) = (row.get(3)?, row.get(4)?);
            reads.push(Read {
                key: row.get(0)?,
                source: serde_json::from_str(&source)?,
                target: serde_json::from_str(&target)?,
                took_us: (took_us.0.cast_unsigned(), took_us.1.cast_unsigned()),
                trouble: row.get(5)?,
            });
        }
        Ok(reads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of() -> Move {
        Move { index: "docs".into(), source: "a".into(), target: "b".into() }
    }

    fn wish(to: Mode) -> Wish {
        Wish { of: of(), to, actor: "me".into(), reason: None, evidence: None, is_forced: false }
    }

    fn row(id: &str, text: &str) -> (String, String, Option<Row>) {
        (String::new(), id.to_owned(), Some(Row { id: id.to_owned(), text: Some(text.to_owned()), ..Row::default() }))
    }

    #[test]
    fn changes_wait_in_order_until_they_are_acknowledged_or_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut changes = Changes::open(&directory.path().join("moves.db")).unwrap();
        let (first, last) = changes.keep("docs", [row("a", "1"), row("b", "1")]).unwrap();
        assert_eq!(last, first + 1);
        changes.keep("docs", [(String::new(), "a".to_owned(), None)]).unwrap();
        changes.keep("other", [row("a", "1")]).unwrap();
        let below = changes.waiting("docs", last, 9).unwrap();
        assert_eq!(below.len(), 1, "what is being written is not waiting yet");
        changes.refuse(first, "too long").unwrap();
        assert_eq!(changes.counts("docs").unwrap(), Counts { n_waiting: 2, n_refused: 1 });
        let waiting = changes.waiting("docs", i64::MAX, 9).unwrap();
        assert_eq!(
            waiting.iter().map(|change| (change.id.as_str(), change.row.is_some())).collect::<Vec<_>>(),
            [("b", true), ("a", false)]
        );
        changes.acknowledge("docs", &waiting).unwrap();
        // `a` was refused before and is gone now: nothing waits for anybody.
        assert_eq!(changes.counts("docs").unwrap(), Counts::default());
        assert_eq!(changes.counts("other").unwrap().n_waiting, 1);
    }

    #[test]
    fn a_move_between_other_stores_has_not_begun() {
        let directory = tempfile::tempdir().unwrap();
        let mut changes = Changes::open(&directory.path().join("moves.db")).unwrap();
        let epoch = changes.turn(&wish(Mode::Collect)).unwrap();
        assert_eq!(changes.standing(&of()).unwrap(), Standing { mode: Mode::Collect, epoch });
        let elsewhere = Move { target: "c".into(), ..of() };
        assert_eq!(changes.standing(&elsewhere).unwrap().mode, Mode::Source);
        changes.keep("docs", [row("a", "1")]).unwrap();
        changes.turn(&wish(Mode::DualWrite)).unwrap();
        assert_eq!(
            changes.counts("docs").unwrap().n_waiting,
            1,
            "what was kept while the target was copied is written now"
        );
        changes.turn(&wish(Mode::Source)).unwrap();
        assert_eq!(changes.counts("docs").unwrap(), Counts::default());
        let said: Vec<(Mode, Mode)> =
            changes.events("docs", 9).unwrap().iter().map(|event| (event.from, event.to)).collect();
        assert_eq!(
            said,
            [(Mode::DualWrite, Mode::Source), (Mode::Collect, Mode::DualWrite), (Mode::Source, Mode::Collect)]
        );
    }

    #[test]
    fn a_query_that_comes_again_is_one_query() {
        let directory = tempfile::tempdir().unwrap();
        let changes = Changes::open(&directory.path().join("moves.db")).unwrap();
        let read = |key: u8| Read {
            key: [key; 16],
            source: vec!["a".into()],
            target: vec!["b".into()],
            took_us: (5, 7),
            trouble: None,
        };
        for key in [1, 2, 1, 3] {
            changes.note_read("docs", 4, &read(key)).unwrap();
        }
        assert_eq!(changes.reads("docs", 4, 2).unwrap(), [read(1), read(2)]);
        assert_eq!((changes.n_read("docs", 4).unwrap(), changes.n_read("docs", 5).unwrap()), (3, 0));
        assert!(changes.has_read("docs", 4, &[2; 16]).unwrap());
    }

    #[test]
    fn a_wish_has_one_outcome_or_is_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let changes = Changes::open(&directory.path().join("moves.db")).unwrap();
        let n = changes.wish(&wish(Mode::Collect)).unwrap();
        assert_eq!(changes.wished("docs").unwrap(), Some((n, wish(Mode::Collect))));
        changes.answer(n, &Outcome::Refused("no".into())).unwrap();
        assert_eq!(
            (changes.outcome(n).unwrap(), changes.wished("docs").unwrap()),
            (Some(Outcome::Refused("no".into())), None)
        );
        assert!(!changes.take_back(n).unwrap());
        assert!(changes.take_back(changes.wish(&wish(Mode::Collect)).unwrap()).unwrap());
    }
}
