//! A model of the BERT family that makes vectors of texts and of their tokens, in this process.
//!
//! A [`Model`] is a directory as the field's tools write it: `config.json`, `model.safetensors`, `tokenizer.json`, and where it has them `modules.json` with what that names, as the package sentence-transformers writes it; a [`Tokenizer`] is the last of these alone, behind the feature `tokenizer`. Nothing is fetched. Everything is behind the
//! feature `model`: its build costs more than the rest of most rooms, and an embeddings target does for most of what vectors are wanted for. Parity with the
//! reference implementations, and how it is measured: `docs/metrics.md`.

#[cfg(feature = "model")]
mod bert;
#[cfg(feature = "model")]
mod model;
#[cfg(feature = "model")]
mod sentence;
#[cfg(feature = "tokenizer")]
mod tokenizer;

#[cfg(feature = "model")]
pub use model::{Encoding, LoadError, Model, ReadError};
#[cfg(feature = "model")]
pub use sentence::Pooling;
#[cfg(feature = "tokenizer")]
pub use tokenizer::{Tokenizer, TokenizerError};
