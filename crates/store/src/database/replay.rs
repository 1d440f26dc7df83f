//! What a rollout's evidence counted and what its transitions were made of: everything that is needed to decide again.

use rusqlite::{Transaction, params};

use super::{CountedRow, Database, DatabaseError, InputsRow, during, signed, unsigned};

/// A part is numbers and words in lines that are much alike.
const LEVEL: i32 = 3;

impl Database {
    /// The number the next entry of an epoch gets.
    pub fn next_input(&self, rollout: &str, epoch: u32) -> Result<u64, DatabaseError> {
        let select = "SELECT coalesce(max(first + n), 0) FROM inputs WHERE rollout = ?1 AND epoch = ?2";
        let next = self.reading().query_row(select, params![rollout, epoch], |row| row.get(0).map(unsigned));
        next.map_err(during("reading what was counted"))
    }

    /// Shows the parts of an epoch to `look`, in the order they were counted, until it says that it has seen enough.
    pub fn inputs(
        &self,
        rollout: &str,
        epoch: u32,
        mut look: impl FnMut(InputsRow) -> bool,
    ) -> Result<(), DatabaseError> {
        let connection = self.reading();
        let what = during("reading what was counted");
        let mut select = connection
            .prepare(
                "SELECT first, n, at_us, looked_json, bytes, data FROM inputs
                 WHERE rollout = ?1 AND epoch = ?2 ORDER BY first",
            )
            .map_err(&what)?;
        let mut rows = select.query(params![rollout, epoch]).map_err(&what)?;
        while let Some(row) = rows.next().map_err(&what)? {
            let bytes: i64 = row.get(4).map_err(&what)?;
            let data: Vec<u8> = row.get(5).map_err(&what)?;
            let capacity = usize::try_from(bytes).unwrap_or(0);
            let part = InputsRow {
                first: row.get(0).map(unsigned).map_err(&what)?,
                n: row.get(1).map(unsigned).map_err(&what)?,
                at_us: row.get(2).map(unsigned).map_err(&what)?,
                looked_json: row.get(3).map_err(&what)?,
                lines: zstd::bulk::decompress(&data, capacity).map_err(DatabaseError::Body)?,
            };
            if !look(part) {
                break;
            }
        }
        Ok(())
    }

    /// What the transitions of a rollout were made of, by the generation they led to, oldest first.
    pub fn decisions(&self, rollout: &str) -> Result<Vec<(u64, String)>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading decisions");
        let mut select = connection
            .prepare("SELECT generation, json FROM decisions WHERE rollout = ?1 ORDER BY generation")
            .map_err(&what)?;
        let rows = select.query_map([rollout], |row| Ok((row.get(0).map(unsigned)?, row.get(1)?))).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

/// Parts without an entry are left out: they say nothing.
pub(super) fn write_inputs(transaction: &Transaction<'_>, counted: &CountedRow) -> Result<(), DatabaseError> {
    let evidence = &counted.evidence;
    for part in counted.inputs.iter().filter(|part| part.n > 0) {
        let data = zstd::bulk::compress(&part.lines, LEVEL).map_err(DatabaseError::Body)?;
        transaction
            .execute(
                "INSERT INTO inputs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    evidence.rollout,
                    evidence.epoch,
                    signed(part.first),
                    signed(part.n),
                    signed(part.at_us),
                    part.looked_json,
                    signed(part.lines.len() as u64),
                    data,
                ],
            )
            .map_err(during("saving what was counted"))?;
    }
    Ok(())
}

pub(super) fn write_decision(
    transaction: &Transaction<'_>,
    rollout: &str,
    generation: u64,
    json: &str,
) -> Result<(), DatabaseError> {
    transaction
        .execute("INSERT INTO decisions VALUES (?1, ?2, ?3)", params![rollout, signed(generation), json])
        .map_err(during("saving a decision"))?;
    Ok(())
}
