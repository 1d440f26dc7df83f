//! Translation between dialects: golden files per case and direction, and random streams.
//! `UPDATE_EXPECT=1 cargo test -p wire` writes the golden files anew.

#![expect(clippy::unwrap_used, reason = "the functions around a test stop it as the test itself would")]

mod composed;
mod responses;
mod responses_streams;
