//! The conformance probe against scripted servers, each with one thing wrong.

#[cfg(test)]
mod conformance;
