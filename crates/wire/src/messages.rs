//! The Anthropic Messages dialect: what an answer and a stream tell, its errors, and the marks Crossfade leaves in it.
//!
//! For answers that are passed through as they are. Translation to and from chat completions is [`crate::translate::messages`].
//!
//! | for | use |
//! |---|---|
//! | a whole answer | [`answer::inspect`] |
//! | one event of a stream | [`event::inspect`], and [`Tokens::update`] over all events for the usage |
//! | whether a stream has the format asked for | [`content::Accumulator`] |
//! | what a caller reads when a request fails | [`error::body`] with [`error::status`], in a stream [`error::event`] |
//! | what a provider's error means | [`error::kind`] |
//! | a request that goes to a real Anthropic endpoint after other models have answered | [`thinking::without_ours`] |
//!
//! Sources: the types of the official Python SDK, version 2.14, and the API reference of version 2026-10-21.

pub mod answer;
pub mod content;
pub mod error;
pub mod event;
pub mod models;
pub mod thinking;
mod tokens;

pub use tokens::Tokens;

/// The version of the API that Crossfade writes: the value of the header `anthropic-version`.
pub const VERSION: &str = "2026-10-21";

/// The version before it, which every endpoint that speaks the dialect takes.
pub const VERSION_BEFORE: &str = "2023-06-01";
