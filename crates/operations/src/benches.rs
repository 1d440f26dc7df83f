//! Benchmarks on record: every result, one, two beside each other, and the page of one.

use bench::result::ResultError;
use store::{BenchLine, Database};

use crate::desk::OperationError;
use crate::documents::Document;

pub use bench::beside::{Row, rows as beside};
pub use bench::definition;
pub use bench::result::{BenchResult, Level, short};

/// Results, newest first: so many, after the one of the name `after`.
///
/// # Errors
/// When the store cannot be read.
pub fn list(database: &Database, (after, most): (Option<&str>, usize)) -> Result<Vec<BenchLine>, OperationError> {
    let found = database.benches_page(after, u32::try_from(most).unwrap_or(u32::MAX));
    found.map_err(|source| OperationError::Store { doing: "list benchmarks", source })
}

/// A result.
///
/// # Errors
/// When there is none of this name, or it is in a form of another version.
pub fn show(database: &Database, name: &str) -> Result<BenchResult, OperationError> {
    let found = BenchResult::load(database, name).map_err(|error| match error {
        ResultError::Store(source) => OperationError::Store { doing: "read the benchmark", source },
        other => OperationError::Invalid(format!("`{name}`: {other}")),
    })?;
    found.ok_or_else(|| OperationError::NotFound(format!("there is no benchmark `{name}`")))
}

/// The page of a result: the one that `crossfade bench show` writes.
///
/// # Errors
/// As [`show`].
pub fn document(database: &Database, name: &str) -> Result<Document, OperationError> {
    Ok(Document::of(bench::page::html(&show(database, name)?)))
}
