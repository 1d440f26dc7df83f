//! The evidence there is before any traffic: what a server can do, measured on the live server, and what answers are worth, on datasets of
//! one's own.
//!
//! Calls go out through `providers` and nothing here opens a socket. What is found is a value; whoever asked prints it.

pub mod case;
pub mod dataset;
pub mod encode;
pub mod entail;
pub mod judge;
pub mod metric;
pub mod run;

pub mod again;
pub mod results;

pub mod compare;
pub mod drift;
pub mod report;

pub mod agreement;
pub mod review;
pub mod verdicts;

pub mod answer;
pub mod conformance;

pub mod live;

pub mod panel;
pub mod prompt;
