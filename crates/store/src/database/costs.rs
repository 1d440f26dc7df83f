//! What calls cost, added up.

use rusqlite::{Row, params};

use super::rows::{ArmCost, TargetCost};
use super::{Database, DatabaseError, during, unsigned};

impl Database {
    /// What one arm, `baseline` or `candidate`, cost in an epoch of a rollout.
    pub fn arm_cost(&self, rollout: &str, epoch: u32, arm: &str) -> Result<ArmCost, DatabaseError> {
        let sql = "SELECT coalesce(sum(requests), 0), coalesce(sum(known), 0), coalesce(sum(unknown), 0),
                coalesce(sum(nanos), 0)
            FROM costs WHERE rollout = ?1 AND epoch = ?2 AND arm = ?3 AND role IN ('live', 'shadow')";
        self.reading()
            .query_row(sql, params![rollout, epoch, arm], |row| sums(row, 0))
            .map_err(during("adding up the costs of an arm"))
    }

    /// What every target cost, by role, from the day `from` to before the day `to`, both counted from 1970.
    pub fn target_costs(&self, from: u32, to: u32) -> Result<Vec<TargetCost>, DatabaseError> {
        let connection = self.reading();
        let what = during("adding up the costs of targets");
        let sql = "SELECT target, role, sum(requests), sum(known), sum(unknown), sum(nanos)
            FROM costs WHERE day >= ?1 AND day < ?2 GROUP BY target, role ORDER BY target, role";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let rows = select
            .query_map([from, to], |row| Ok(TargetCost { target: row.get(0)?, role: row.get(1)?, sums: sums(row, 2)? }))
            .map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

/// Four columns from `at`.
fn sums(row: &Row<'_>, at: usize) -> rusqlite::Result<ArmCost> {
    let number = |idx: usize| row.get(at + idx).map(unsigned);
    Ok(ArmCost { requests: number(0)?, known: number(1)?, unknown: number(2)?, nanos: number(3)? })
}
