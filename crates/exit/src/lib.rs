//! Leaving a vendor: what it holds of one's data, fetched through its public API into a directory of open files, with a manifest that says how much is
//! there, what could not be had and why, and a signature over it.
//!
//! Start at `catalog.rs` (what a vendor holds), `crawl.rs` (how it is fetched), `archive.rs` (how it is kept), `manifest.rs` (how it is proved).

mod archive;
pub mod catalog;
mod crawl;
mod fetch;
mod list;
mod manifest;
pub mod signing;

pub use archive::{Archive, ArchiveError};
pub use crawl::{Crawl, CrawlError, Live};
pub use fetch::{Pacing, Vendor};
pub use manifest::{CollectionFacts, MANIFEST, Manifest, Problem, Refusal, SIGNATURE, seal, verify};
