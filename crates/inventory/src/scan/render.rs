//! Findings as files for other programs.

mod csv;
mod sarif;

pub use csv::csv;
pub use sarif::sarif;
