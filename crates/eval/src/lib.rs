//! The evidence there is before any traffic: what a server can do, measured on the live server, and what answers are worth.
//!
//! Calls go out through `providers` and nothing here opens a socket. What is found is a value; whoever asked prints it.

pub mod conformance;
pub mod metric;
