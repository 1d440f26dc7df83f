//! The binary as its users meet it: over its command line, its sockets and its files. And `tidy`, the rules of the house
//! that no other tool checks.

mod parts;
mod tidy;

mod config;
mod crash;
mod exchanges;
mod reload;
mod rollouts;
mod secrets;
mod serve;
