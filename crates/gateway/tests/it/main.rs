//! The gateway between real sockets: scripted upstreams behind it, a client that sees every byte in front of it.

mod client;
mod drain;
mod edge;
mod failover;
mod harness;
mod passthrough;
mod records;
mod rollouts;
mod streams;
