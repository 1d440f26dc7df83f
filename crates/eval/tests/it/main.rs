//! The conformance probe against scripted servers, each with one thing wrong; the metrics against their reference implementations.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod parity;
