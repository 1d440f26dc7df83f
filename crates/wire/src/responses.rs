//! The Responses dialect: what an answer and a stream tell.
//!
//! For answers that are passed through as they are. Translation to and from chat completions is
//! [`crate::translate::responses`], and its errors have the envelope of [`crate::openai::ErrorBody`].
//!
//! | for | use |
//! |---|---|
//! | a whole answer | [`answer::inspect`] |
//! | one event of a stream | [`event::inspect`]; what the last one tells of the answer is in [`event::EventFacts::response`] |
//!
//! Sources: the types of the official Python SDK, version 3.52, and the published description of the API of August 2026.

pub mod answer;
pub mod event;
