//! Which way a request goes: the rules of a route, held against the facts of a request, and whether the answer of a small model is good
//! enough.
//!
//! Pure: the same rules and the same facts always give the same decision. Where facts come from, and what is done with a
//! decision, is the gateway's.

pub mod cascade;
pub mod language;
pub mod pattern;
pub mod rules;

pub use language::Language;
pub use pattern::Pattern;
pub use rules::{Facts, HeaderIs, Size, Tools, When, first};
