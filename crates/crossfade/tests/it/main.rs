//! The binary as its users meet it: over its command line, its sockets and its files. And `tidy`, the rules of the house
//! that no other tool checks.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions around a test stop it as the test itself would"
)]

mod parts;
mod tidy;

mod ahead;
mod alerts;
mod approvals;
mod bench;
mod bench_judged;
mod bench_matrix;
mod blind;
mod code;
mod cohorts;
mod compare;
mod config;
mod conformance;
mod console;
mod crash;
mod datasets;
mod drill;
mod drill_live;
mod egress;
mod encoders;
mod entailment;
mod evaluations;
mod exchanges;
mod exit_drill;
mod exit_plan;
mod feedback;
mod gates;
mod grading;
mod holding;
mod import;
mod inventory;
mod inventory_matrix;
mod inventory_prompts;
mod inventory_traffic;
mod judged;
mod judged_models;
mod judges;
mod keys;
mod leaving;
mod openapi;
mod pages;
mod panel;
mod prices;
mod promptfoo;
mod prompts;
mod record;
mod reload;
mod replay;
mod report;
mod reranking;
mod review;
mod rollouts;
mod secrets;
mod serve;
mod signals;
mod tco;
mod vectors;
#[cfg(test)]
mod vectors_eval;
mod vectors_moves;
mod vectors_reembed;
mod watch;
mod whose;
mod why;
