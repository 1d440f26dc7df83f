//! What is in use today and what would take its place. Text in, results out: this room opens no file and no socket.
//!
//! [`import`] turns the config of another gateway into one of Crossfade's, and says of every key of the source what became
//! of it. [`scan`] finds where a code base uses vendors of language models. [`matrix`] says what would take their place, and how well;
//! [`sovereignty`] how much depends on others, before and after.

pub mod import;
pub mod matrix;
pub mod prompts;
pub mod scan;
pub mod sovereignty;
pub mod traffic;
