//! What was embedded, so that no text is paid for twice: not after a kill, and not where it stands in another row or, with one file for several runs, in another
//! collection.
//!
//! One SQLite file. A vector is found by its space and the SHA-256 of the text with its prefix. What was refused is kept too.

use std::path::Path;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, params};

use super::pace::Spent;
use crate::row::{floats_of_bytes, floats_to_bytes};
use crate::space::{Recipe, is_same};

/// The file, in the run's directory.
pub const CACHE: &str = "embeddings.db";

/// How long one run waits for another that writes to the same file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the cache fails.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The database.
    #[error("could not use the embeddings that are kept")]
    Sqlite(#[from] rusqlite::Error),
    /// What stands in it.
    #[error("the embeddings that are kept hold something else than they should")]
    Broken,
}

/// The hash of a text with its prefix.
pub type TextHash = [u8; 32];

/// The hash of a text.
pub(crate) fn text_hash(text: &str) -> TextHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

/// The embeddings of one space.
pub struct Cache {
    connection: Connection,
    space: i64,
    name: String,
}

impl Cache {
    /// Opens a file, or makes it, for the space that the canaries' vectors are of: one that it has, if they are as its own, else a new one. A new one is called
    /// as `known`, if that is the same space.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn open(file: &Path, recipe: &Recipe, canaries: &[Vec<f32>], known: Option<&str>) -> Result<Cache, CacheError> {
        let mut connection = Connection::open(file)?;
        connection.busy_timeout(PATIENCE)?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch(
            "PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS space (n INTEGER PRIMARY KEY, made TEXT NOT NULL, name TEXT NOT NULL, dims INTEGER NOT NULL, canaries BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS spent (space INTEGER PRIMARY KEY, n_calls INTEGER NOT NULL, n_texts INTEGER NOT NULL, n_tokens INTEGER NOT NULL,
               nanos INTEGER NOT NULL, n_cut INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS text (space INTEGER NOT NULL, hash BLOB NOT NULL, vector BLOB, refused TEXT, PRIMARY KEY (space, hash)) WITHOUT ROWID;",
        )?;
        let name = recipe.space(canaries);
        // How they were made stands before the sketch.
        let made = name.rsplit_once('~').map_or(name.as_str(), |(made, _)| made);
        let made = made.to_owned();
        let name = known.filter(|known| wire::space::agree(known, &name)).map_or(name, str::to_owned);
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut own_space: Option<(i64, String)> = None;
        {
            let mut statement =
                transaction.prepare("SELECT n, name, dims, canaries FROM space WHERE made = ?1 ORDER BY n")?;
            let mut rows = statement.query([&made])?;
            while let Some(row) = rows.next()? {
                let (dims, bytes): (i64, Vec<u8>) = (row.get(2)?, row.get(3)?);
                let floats = floats_of_bytes(&bytes).ok_or(CacheError::Broken)?;
                let dims = usize::try_from(dims).ok().filter(|dims| *dims > 0).ok_or(CacheError::Broken)?;
                let own: Vec<Vec<f32>> = floats.chunks(dims).map(<[f32]>::to_vec).collect();
                if is_same(&own, canaries) {
                    own_space = Some((row.get(0)?, row.get(1)?));
                    break;
                }
            }
        }
        let (space, name) = match own_space {
            Some(own) => own,
            None => {
                let dims = i64::try_from(canaries.first().map_or(0, Vec::len)).unwrap_or(0);
                let sql = "INSERT INTO space (made, name, dims, canaries) VALUES (?1, ?2, ?3, ?4)";
                transaction.execute(sql, params![made, name, dims, floats_to_bytes(&canaries.concat())])?;
                (transaction.last_insert_rowid(), name)
            }
        };
        transaction.execute("INSERT OR IGNORE INTO spent VALUES (?1, 0, 0, 0, 0, 0)", [space])?;
        transaction.commit()?;
        Ok(Cache { connection, space, name })
    }

    /// The name of its space.
    #[must_use]
    pub fn space(&self) -> &str {
        &self.name
    }

    /// Forgets what was refused, so that it is asked for again.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn forget_refused(&mut self) -> Result<(), CacheError> {
        self.connection.execute("DELETE FROM text WHERE space = ?1 AND vector IS NULL", [self.space])?;
        Ok(())
    }

    /// What is known of a text: its vector, or why it has none.
    pub(crate) fn get(&self, hash: &TextHash) -> Result<Option<Result<Vec<f32>, String>>, CacheError> {
        let mut statement =
            self.connection.prepare_cached("SELECT vector, refused FROM text WHERE space = ?1 AND hash = ?2")?;
        let found: Option<(Option<Vec<u8>>, Option<String>)> =
            statement.query_row(params![self.space, hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            None => Ok(None),
            Some((Some(bytes), _)) => Ok(Some(Ok(floats_of_bytes(&bytes).ok_or(CacheError::Broken)?))),
            Some((None, refused)) => Ok(Some(Err(refused.ok_or(CacheError::Broken)?))),
        }
    }

    /// Keeps what came of texts, and what more the space took.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn put(&mut self, texts: &[(TextHash, Result<Vec<f32>, String>)], more: Spent) -> Result<(), CacheError> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO text VALUES (?1, ?2, ?3, ?4)")?;
            for (hash, came) in texts {
                let (vector, refused) = match came {
                    Ok(vector) => (Some(floats_to_bytes(vector)), None),
                    Err(why) => (None, Some(why)),
                };
                statement.execute(params![self.space, hash, vector, refused])?;
            }
        }
        let sql = "UPDATE spent SET n_calls = n_calls + ?2, n_texts = n_texts + ?3, n_tokens = n_tokens + ?4, nanos = nanos + ?5, n_cut = n_cut + ?6
            WHERE space = ?1";
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let Spent { n_calls, n_texts, n_tokens, nanos, n_cut } = more;
        let more = [n_calls, n_texts, n_tokens, nanos, n_cut].map(count);
        transaction.execute(sql, params![self.space, more[0], more[1], more[2], more[3], more[4]])?;
        transaction.commit()?;
        Ok(())
    }

    /// What the space took, over all runs that used this file.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn spent(&self) -> Result<Spent, CacheError> {
        let sql = "SELECT n_calls, n_texts, n_tokens, nanos, n_cut FROM spent WHERE space = ?1";
        let count =
            |row: &rusqlite::Row<'_>, at| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0));
        Ok(self.connection.query_row(sql, [self.space], |row| {
            Ok(Spent {
                n_calls: count(row, 0)?,
                n_texts: count(row, 1)?,
                n_tokens: count(row, 2)?,
                nanos: count(row, 3)?,
                n_cut: count(row, 4)?,
            })
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe { provider: "p".into(), model: "m".into(), ..Recipe::default() }
    }

    #[test]
    fn what_came_of_a_text_is_found_in_its_space_and_in_no_other() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join(CACHE);
        let mut cache = Cache::open(&file, &recipe(), &[vec![1.0, 0.0]], None).unwrap();
        let (one, two) = (text_hash("one"), text_hash("two"));
        let spent = Spent { n_calls: 1, n_texts: 1, n_tokens: 5, nanos: 7, n_cut: 0 };
        cache.put(&[(one, Ok(vec![0.5, -0.0])), (two, Err("too long".into()))], spent).unwrap();
        cache.put(&[], spent).unwrap();
        // The same but for the last digits.
        let again = Cache::open(&file, &recipe(), &[vec![1.0, 1e-4]], None).unwrap();
        assert_eq!(again.space(), cache.space());
        assert_eq!(again.get(&one).unwrap(), Some(Ok(vec![0.5, -0.0])));
        assert_eq!(again.get(&two).unwrap(), Some(Err("too long".into())));
        assert_eq!(again.spent().unwrap(), Spent { n_calls: 2, n_texts: 2, n_tokens: 10, nanos: 14, n_cut: 0 });
        let other = Cache::open(&file, &recipe(), &[vec![-1.0, 0.3]], None).unwrap();
        assert_ne!(other.space(), cache.space());
        assert_eq!((other.get(&one).unwrap(), other.spent().unwrap()), (None, Spent::default()));
        let prefixed = Recipe { prefix: "passage: ".into(), ..recipe() };
        assert_eq!(Cache::open(&file, &prefixed, &[vec![1.0, 0.0]], None).unwrap().get(&one).unwrap(), None);
    }
}
