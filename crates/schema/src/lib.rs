//! Whether an answer is what was asked for: its content against the JSON Schema of `response_format`, its tool calls against the
//! parameters of the tools that were offered.
//!
//! A schema comes from a caller and the text from a model, so neither is trusted with time, memory or the stack: a schema is
//! looked at before it is compiled ([`graph`]), and what a check would cost is counted before it is made ([`work`]). What goes
//! beyond the bounds, or names a schema that is somewhere else, is not validated, and that is told apart from both verdicts.
//! Nothing is fetched: beside a schema are the meta-schema of its draft and the [`Documents`] that are given with it. One whose
//! parts have names of their own is written down without them first ([`resources`], [`flat`]).
//!
//! Judged by the rules of the draft that the schema names in `$schema`, else by 2020-12. `format` asserts nothing, as that draft
//! has it.

mod cache;
mod compile;
mod documents;
mod flat;
mod graph;
pub mod judge;
mod resources;
mod work;

pub use cache::Validator;
pub use compile::{Compiled, Finding, Unvalidated, Verdict};
pub use documents::{Documents, NoDocument};
