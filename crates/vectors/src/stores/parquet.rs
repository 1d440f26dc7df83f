//! A directory of Parquet files: the neutral form that a collection is kept, handed on and proved in.
//!
//! Columns: `id` and `ns` (text), `vec.NAME` (list of float or halffloat or int8; bits as fixed bytes), `sparse.NAME` (struct of the lists `indices` and
//! `values`), `multi.NAME` (list of lists of float), `text`, `meta` (JSON as text), `space`, `digest` (16 bytes). Files of others are read where their
//! columns are called so; a digest that is there has to be right.

mod layout;
mod read;
mod write;

use std::path::Path;

use self::read::Open;
use super::parts::Parts;
use super::scan;
use crate::digest::RowDigest;
use crate::retry::Trouble;
use crate::row::Row;
use crate::schema::Schema;
use crate::store::{Budget, Cursor, Page, Partition, Sealed, Slot, Source, Survey, Target};

/// What a file holds at most: a row group that one batch fills.
const BUDGET: Budget = Budget { n_rows: 65_536, n_bytes: 16 << 20 };

/// The directory.
pub struct ParquetDirectory {
    parts: Parts,
    open: Option<Open>,
}

impl ParquetDirectory {
    /// The directory at this path, which need not be there yet.
    #[must_use]
    pub fn new(root: &Path) -> ParquetDirectory {
        ParquetDirectory { parts: Parts::new(root, "parquet"), open: None }
    }
}

impl Source for ParquetDirectory {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        match self.parts.said()? {
            Some(survey) => Ok(survey),
            None => scan::survey(self),
        }
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        self.parts.partitions()
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        let path = self.parts.planned(partition)?;
        let at = match after {
            None => 0,
            Some(Cursor::Offset(at)) => *at,
            Some(Cursor::Key(..)) => {
                return Err(Trouble::permanent("could not read a file", "the journal has a key for it, not a row"));
            }
        };
        let open = match self.open.take() {
            Some(open) if open.is_at(&path, at) => open,
            _ => Open::at(&path, at)?,
        };
        let open = self.open.insert(open);
        let (rows, digests, more) = open.read(budget)?;
        let next = more.then(|| Cursor::Offset(at + rows.len() as u64));
        Ok(Page { rows, digests, next, ..Page::default() })
    }
}

impl Target for ParquetDirectory {
    fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble> {
        self.parts.prepare(schema, acknowledged)
    }

    fn budget(&self) -> Budget {
        BUDGET
    }

    fn write(&mut self, slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        let bytes = write::file(self.parts.schema(), rows)
            .map_err(|error| Trouble::poison("could not write rows as Parquet", error))?;
        self.parts.write(slot, &bytes)
    }

    fn seal(&mut self, sealed: &Sealed) -> Result<(), Trouble> {
        self.parts.seal(sealed)
    }
}
