//! Who did what: the audit, read back by pages.

use store::Database;

use crate::desk::OperationError;

pub use store::AuditRow;

/// A page, newest first, each row with its number: of one subject (`key:ID`, `rollout:NAME` …) or of all, before the row of this number.
///
/// # Errors
/// When the store cannot be read.
pub fn page(
    database: &Database,
    subject: Option<&str>,
    (before, limit): (Option<u64>, u32),
) -> Result<Vec<(u64, AuditRow)>, OperationError> {
    let rows = database.audit_page(subject, before, limit);
    rows.map_err(|source| OperationError::Store { doing: "read the audit", source })
}
