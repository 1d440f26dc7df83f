//! Moving a knowledge base: a collection of vectors out of one store into another so that nothing is lost, with proof.
//!
//! Start at `row.rs` (what a row is), `digest.rs` (what proves that two collections are the same), `store.rs` (what a store is), `copy.rs` and `journal.rs`
//! (how a copy survives its end), `verify.rs`; for what is found in it `nearest.rs` and `parity.rs`; for vectors that are made anew `space.rs` and `reembed.rs`.

pub mod copy;
pub mod digest;
pub mod embed;
pub mod facade;
pub mod health;
pub mod journal;
pub mod metadata;
pub mod nearest;
pub mod parity;
mod patience;
pub mod plan;
pub mod reembed;
pub mod relevance;
pub mod retry;
pub mod row;
pub mod run;
pub mod schema;
pub mod space;
pub mod standing;
pub mod store;
pub mod stores;
pub mod verify;
mod width;
