//! What a store is to the rest of the room: something that is read in partitions, and something that takes batches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::RowDigest;
use crate::nearest::{Hit, Query};
use crate::retry::Trouble;
use crate::row::Row;
use crate::schema::{Metric, Schema};
use crate::verify::Loose;

/// What a collection comes to, as its store tells it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// How many rows.
    pub n_rows: u64,
    /// What they look like.
    pub schema: Schema,
}

/// A part of a collection that does not change its bounds once it was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Partition {
    /// A file of this many bytes.
    File {
        /// Its name, below the directory.
        name: String,
        /// What it weighed when it was planned.
        n_bytes: u64,
    },
    /// Keys after `after` up to and with `until`, each a namespace and an identifier; without one there is no bound.
    Keys {
        /// Not this one, but what comes after.
        after: Option<(String, String)>,
        /// The last.
        until: Option<(String, String)>,
    },
    /// Records by the identifiers that the store itself knows them by, for a store that can be asked for nothing else.
    Ids {
        /// The namespace, where the identifiers do not say it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        namespace: String,
        /// All of them.
        ids: Vec<String>,
    },
}

impl Partition {
    /// The namespace, all identifiers, and the place of the first that was not read yet, of a store that is asked by identifiers alone.
    pub(crate) fn ids(&self, doing: &str, after: Option<&Cursor>) -> Result<(&str, &[String], usize), Trouble> {
        let Partition::Ids { namespace, ids } = self else {
            return Err(Trouble::permanent(doing, "the journal has no identifiers for it"));
        };
        match after {
            None => Ok((namespace, ids, 0)),
            Some(Cursor::Offset(n)) => Ok((namespace, ids, usize::try_from(*n).unwrap_or(usize::MAX))),
            Some(Cursor::Key(..)) => Err(Trouble::permanent(doing, "the journal has a key for it, not an offset")),
        }
    }
}

/// How far a partition has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// So many rows or bytes of a file, or identifiers of a list.
    Offset(u64),
    /// To this key and with it.
    Key(String, String),
}

/// The most that one page holds: whichever is reached first. A row that is larger is a page by itself.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Rows.
    pub n_rows: usize,
    /// Bytes by [`Row::n_bytes`].
    pub n_bytes: usize,
}

/// Rows that were read, and what could not be read as one.
#[derive(Debug, Default)]
pub struct Page {
    /// In the partition's order.
    pub rows: Vec<Row>,
    /// The digest of each of them where the source has held it against one that was kept; else none.
    pub digests: Vec<RowDigest>,
    /// What is no row: kept as it was found.
    pub unreadable: Vec<Unreadable>,
    /// How far this goes; none when the partition ends here.
    pub next: Option<Cursor>,
}

/// Something in a store that is no row.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Where it is.
    pub place: String,
    /// Why it is none.
    pub why: String,
    /// What it is.
    pub found: String,
}

/// A collection that is read.
pub trait Source: Send {
    /// Counts it and looks at its shape. May read all of it where nothing else tells.
    ///
    /// # Errors
    /// Where the store fails.
    fn survey(&mut self) -> Result<Survey, Trouble>;

    /// Parts of it, together all of it, of about equal size. Asked once for a run: what it says is written down before anything is read, and never asked again.
    ///
    /// # Errors
    /// Where the store fails.
    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble>;

    /// The next page of a partition.
    ///
    /// # Errors
    /// Where the store fails, or the partition is no longer what it was.
    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble>;

    /// What is good to know before it is read: what reading costs, what its values become.
    ///
    /// # Errors
    /// Where the store fails.
    fn notes(&mut self) -> Result<Vec<String>, Trouble> {
        Ok(Vec::new())
    }

    /// Why it cannot be said that all of it was read, where it cannot.
    ///
    /// # Errors
    /// Where the store fails.
    fn unproved(&mut self) -> Result<Option<String>, Trouble> {
        Ok(None)
    }

    /// Dense vectors that the store does not give back to the bit, but each number within a tolerance of what was written.
    ///
    /// # Errors
    /// Where the store fails.
    fn tolerant(&mut self) -> Result<BTreeMap<String, Loose>, Trouble> {
        Ok(BTreeMap::new())
    }
}

/// A collection that answers queries by an index of its own.
pub trait Search: Send {
    /// What the store finds for a query by the vector `name`, the nearest first, `k` at most. A collection whose index compares otherwise than by `metric` refuses.
    ///
    /// # Errors
    /// Where the store fails, or cannot search by this.
    fn search(&mut self, name: &str, metric: Metric, query: &Query, k: usize) -> Result<Vec<Hit>, Trouble>;
}

/// Where a batch belongs: the `part`-th of its partition. A target that is files makes one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The number of the partition.
    pub partition: usize,
    /// How many batches of it were acknowledged before.
    pub part: u64,
}

/// What a copy has written when it is through.
#[derive(Debug, Clone, Copy)]
pub struct Sealed {
    /// How many rows.
    pub n_rows: u64,
    /// The sum of their digests modulo 2^128.
    pub digest: RowDigest,
}

/// A collection that is written.
pub trait Target: Send {
    /// Makes it ready: new, or as it stands after the acknowledged batches of each partition. What was written and not acknowledged may be undone.
    ///
    /// # Errors
    /// Where the store fails, or has rows that are not this run's.
    fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble>;

    /// What it likes to be given at once.
    fn budget(&self) -> Budget;

    /// Writes rows, each with its digest and each in the place of one of the same namespace and identifier. When it returns they survive the end of either process.
    ///
    /// # Errors
    /// Where the store fails; then nothing of the batch needs to be there.
    fn write(&mut self, slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble>;

    /// Another way into the collection that was prepared, for batches to be written side by side, in any order; none where one writer at a time is taken, or
    /// where a batch's slot matters.
    fn beside(&self) -> Option<Box<dyn Target>> {
        None
    }

    /// All is written.
    ///
    /// # Errors
    /// Where the store fails.
    fn seal(&mut self, sealed: &Sealed) -> Result<(), Trouble>;
}
