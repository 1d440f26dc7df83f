//! Lines of JSON: a file, or a directory of them. How a line looks says [`super::line`].

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use super::line::{from_line, to_line};
use super::parts::{Parts, trouble};
use super::scan;
use crate::digest::RowDigest;
use crate::retry::Trouble;
use crate::row::Row;
use crate::schema::Schema;
use crate::store::{Budget, Cursor, Page, Partition, Sealed, Slot, Source, Survey, Target, Unreadable};

/// What a file holds at most.
const BUDGET: Budget = Budget { n_rows: 65_536, n_bytes: 16 << 20 };

/// The file or directory.
pub struct JsonLines {
    parts: Parts,
}

impl JsonLines {
    /// The file or directory at this path; a directory need not be there yet.
    #[must_use]
    pub fn new(path: &Path) -> JsonLines {
        JsonLines { parts: Parts::new(path, "jsonl") }
    }
}

impl Source for JsonLines {
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
        let doing = || format!("could not read {}", path.display());
        let mut at = match after {
            None => 0,
            Some(Cursor::Offset(at)) => *at,
            Some(Cursor::Key(..)) => {
                return Err(Trouble::permanent(doing(), "the journal has a key for it, not an offset"));
            }
        };
        let mut file = File::open(&path).map_err(|error| trouble(doing(), &error))?;
        file.seek(SeekFrom::Start(at)).map_err(|error| trouble(doing(), &error))?;
        let mut file = BufReader::new(file);
        let mut page = Page::default();
        let (mut n_bytes, mut line) = (0, Vec::new());
        loop {
            if page.rows.len() + page.unreadable.len() >= budget.n_rows || n_bytes >= budget.n_bytes {
                page.next = Some(Cursor::Offset(at));
                return Ok(page);
            }
            line.clear();
            let n = file.read_until(b'\n', &mut line).map_err(|error| trouble(doing(), &error))?;
            if n == 0 {
                return Ok(page);
            }
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                match std::str::from_utf8(&line).map_err(|error| error.to_string()).and_then(from_line) {
                    Ok(row) => {
                        n_bytes += row.n_bytes();
                        page.rows.push(row);
                    }
                    Err(why) => {
                        n_bytes += line.len();
                        let found = String::from_utf8_lossy(&line).trim_end().to_owned();
                        page.unreadable.push(Unreadable {
                            place: format!("{} at byte {at}", path.display()),
                            why,
                            found,
                        });
                    }
                }
            }
            at += n as u64;
        }
    }
}

impl Target for JsonLines {
    fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble> {
        self.parts.prepare(schema, acknowledged)
    }

    fn budget(&self) -> Budget {
        BUDGET
    }

    fn write(&mut self, slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        let mut text = String::new();
        for (row, _) in rows {
            text += &to_line(row);
            text.push('\n');
        }
        self.parts.write(slot, text.as_bytes())
    }

    fn seal(&mut self, sealed: &Sealed) -> Result<(), Trouble> {
        self.parts.seal(sealed)
    }
}
