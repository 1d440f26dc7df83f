//! Which way a request goes by what it asks for: the rules of a route, held against the facts of a request.
//!
//! Pure: the same rules and the same facts always give the same decision. Where facts come from, and what is done with a
//! decision, is the gateway's.

pub mod language;
pub mod pattern;
pub mod rules;

pub use language::Language;
pub use pattern::Pattern;
pub use rules::{Facts, HeaderIs, Size, Tools, When, first};
