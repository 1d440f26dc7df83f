//! What is in use today and what would take its place. Text in, results out: this room opens no file and no socket.
//!
//! [`import`] turns the config of another gateway into one of Crossfade's, and says of every key of the source what became
//! of it. [`scan`] finds where a code base uses vendors of language models.

pub mod import;
pub mod prompts;
pub mod scan;
pub mod traffic;
