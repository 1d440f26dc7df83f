//! Inventories of code and replacement matrices that were filed, read back for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{AuditRow, Database, InventoryRow};

use crate::desk::OperationError;

/// An inventory's word.
pub const INVENTORY: &str = "inventory";
/// A matrix's.
pub const MATRIX: &str = "matrix";

/// A place where a vendor is used, as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line.
    pub line: u64,
    /// What kind of place.
    pub kind: String,
    /// What is done there.
    pub operation: String,
    /// Whose service.
    pub vendor: String,
    /// The library; empty without one.
    #[serde(default)]
    pub sdk: String,
    /// Its version.
    #[serde(default)]
    pub version: Option<String>,
    /// The model: `id`, `from`.
    #[serde(default)]
    pub model: Value,
    /// How sure it is.
    pub confidence: String,
    /// Who owns it.
    #[serde(default)]
    pub owners: Vec<String>,
    /// What has an end.
    #[serde(default)]
    pub sunsets: Vec<Sunset>,
}

/// Something that its vendor ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sunset {
    /// What.
    pub what: String,
    /// The day.
    pub ends: String,
    /// Who says so.
    #[serde(default)]
    pub source: String,
}

impl Finding {
    /// The model's id, or where it comes from.
    #[must_use]
    pub fn model(&self) -> &str {
        let word = |name: &str| self.model[name].as_str().filter(|word| *word != "unknown");
        word("id").or_else(|| word("from")).unwrap_or_default()
    }

    /// Whether it is a call site: a call, a client, an adapter or plain HTTP.
    #[must_use]
    pub fn is_site(&self) -> bool {
        ["call", "client", "adapter", "http"].contains(&self.kind.as_str())
    }
}

/// The last inventory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// Who filed it, when, of what.
    pub head: InventoryRow,
    /// The day it was made.
    pub date: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Inventory {
    /// Call sites by vendor and operation, the most first.
    #[must_use]
    pub fn sums(&self) -> Vec<(&str, &str, usize)> {
        let mut sums: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for finding in self.findings.iter().filter(|finding| finding.is_site()) {
            *sums.entry((&finding.vendor, &finding.operation)).or_default() += 1;
        }
        let mut sums: Vec<_> = sums.into_iter().map(|((vendor, operation), n)| (vendor, operation, n)).collect();
        sums.sort_by_key(|(.., n)| std::cmp::Reverse(*n));
        sums
    }

    /// What has an end, by the day, with how many places use it.
    #[must_use]
    pub fn ends(&self) -> Vec<(&Sunset, usize)> {
        let mut ends: BTreeMap<(&str, &str), (&Sunset, usize)> = BTreeMap::new();
        for sunset in self.findings.iter().flat_map(|finding| &finding.sunsets) {
            ends.entry((&sunset.ends, &sunset.what)).or_insert((sunset, 0)).1 += 1;
        }
        ends.into_values().collect()
    }
}

/// The last inventory that was filed; none where none was.
///
/// # Errors
/// When the store cannot be read, or what was filed is none.
pub fn last(database: &Database) -> Result<Option<Inventory>, OperationError> {
    #[derive(Deserialize)]
    struct Document {
        date: String,
        findings: Vec<Finding>,
    }
    let Some(head) = of(database, INVENTORY)? else { return Ok(None) };
    let Document { date, findings } = read(&head)?;
    Ok(Some(Inventory { head, date, findings }))
}

/// The last replacement matrix that was filed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matrix {
    /// Who filed it, when, of what.
    pub head: InventoryRow,
    /// What it says.
    pub document: MatrixDocument,
}

/// A matrix, as far as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixDocument {
    /// The day it was made.
    pub date: String,
    /// What it comes to.
    pub headline: String,
    /// How many rows are what.
    pub counts: BTreeMap<String, u64>,
    /// Columns; each has a `name`.
    pub alternatives: Vec<Value>,
    /// What is used.
    pub rows: Vec<MatrixRow>,
}

/// A capability that is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixRow {
    /// What it is.
    pub what: String,
    /// Where in code.
    pub places: Vec<Value>,
    /// Requests on record.
    pub requests: u64,
    /// Of whom.
    pub vendors: Vec<String>,
    /// One for each alternative.
    pub cells: Vec<MatrixCell>,
    /// The best cell's.
    pub standing: String,
    /// The best cell's.
    pub effort: Value,
    /// The best cell's.
    pub risk: Value,
}

/// How well an alternative has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixCell {
    /// The alternative.
    pub alternative: String,
    /// `equivalent`, `degraded`, `unproved` or `none`.
    pub standing: String,
    /// What differs or is missing.
    pub how: String,
    /// What to do where there is none.
    #[serde(default)]
    pub workaround: Option<String>,
    /// Rows of reports that say so.
    pub proofs: Vec<Value>,
}

/// The last matrix that was filed; none where none was.
///
/// # Errors
/// When the store cannot be read, or what was filed is none.
pub fn last_matrix(database: &Database) -> Result<Option<Matrix>, OperationError> {
    let Some(head) = of(database, MATRIX)? else { return Ok(None) };
    let document = read(&head)?;
    Ok(Some(Matrix { head, document }))
}

/// What the last of a kind is of and when it was filed, without reading what it says.
pub(crate) fn of(database: &Database, kind: &str) -> Result<Option<InventoryRow>, OperationError> {
    let reading = |source| OperationError::Store { doing: "read a filed inventory", source };
    database.last_inventory(kind).map_err(reading)
}

fn read<'d, T: Deserialize<'d>>(head: &'d InventoryRow) -> Result<T, OperationError> {
    let other = |error| OperationError::Invalid(format!("the {} that was filed cannot be read: {error}", head.kind));
    serde_json::from_str(&head.document).map_err(other)
}

/// Files one.
///
/// # Errors
/// When the store refuses.
pub fn file(database: &Database, row: &InventoryRow) -> Result<(), OperationError> {
    let audit = AuditRow {
        at_us: row.at_us,
        actor: row.actor.clone(),
        action: format!("{}.file", row.kind),
        subject: format!("inventory:{}", row.names),
        reason: String::new(),
        detail_json: serde_json::json!({ "digest": row.digest }).to_string(),
    };
    let filing = |source| OperationError::Store { doing: "file an inventory", source };
    database.file_inventory(row, &audit).map_err(filing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filed(database: &Database, kind: &str, document: &str) {
        let row = InventoryRow {
            kind: kind.to_owned(),
            at_us: 5,
            actor: "ana".to_owned(),
            names: "shop".to_owned(),
            digest: "d".to_owned(),
            document: document.to_owned(),
        };
        file(database, &row).unwrap();
    }

    #[test]
    fn what_was_filed_last_is_summed_up_and_what_cannot_be_read_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path().join("crossfade.db")).unwrap();
        assert_eq!((last(&database).unwrap(), last_matrix(&database).unwrap()), (None, None));
        let finding = |kind: &str, operation: &str, sunsets: &str| {
            format!(
                r#"{{"path":"a.py","line":3,"kind":"{kind}","operation":"{operation}","vendor":"openai","sdk":"openai","version":null,"model":{{"id":null,"from":"config"}},"confidence":"certain","owners":[],"sunsets":[{sunsets}],"more":1}}"#
            )
        };
        let sunset = r#"{"what":"gpt-3.5","ends":"2026-01-01","source":"s"}"#;
        let findings = [finding("call", "chat", sunset), finding("call", "chat", sunset), finding("key", "", "")];
        filed(&database, INVENTORY, &format!(r#"{{"date":"2026-11-27","findings":[{}]}}"#, findings.join(",")));
        let inventory = last(&database).unwrap().unwrap();
        assert_eq!(inventory.sums(), [("openai", "chat", 2)]);
        assert_eq!(
            inventory.ends().iter().map(|(sunset, n)| (sunset.what.as_str(), *n)).collect::<Vec<_>>(),
            [("gpt-3.5", 2)]
        );
        assert_eq!(inventory.findings[0].model(), "config");
        filed(&database, MATRIX, "{}");
        assert!(matches!(last_matrix(&database), Err(OperationError::Invalid(_))));
    }
}
