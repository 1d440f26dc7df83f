//! Findings as files for other programs, and as a page.

mod bom;
mod csv;
mod html;
mod sarif;

pub use bom::bom;
pub use csv::csv;
pub(crate) use csv::quoted;
pub use html::html;
pub use sarif::sarif;

/// What the findings are of.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The directories or repositories.
    pub names: &'a [String],
    /// The version of what looked.
    pub version: &'a str,
    /// When, `YYYY-MM-DD HH:MM:SS` in UTC.
    pub now: &'a str,
    /// How many lines were looked through.
    pub lines: usize,
    /// How many files.
    pub files: usize,
}
