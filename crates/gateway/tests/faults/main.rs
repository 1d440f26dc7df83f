//! The fault table: what an upstream, a caller or the machine can do, and what everybody sees of it.
//!
//! Every row plays seeded trials against a whole gateway between real sockets. A trial draws its timing, offsets, sizes and whether
//! the answer is a stream; it fails when a caller, the record or an upstream sees anything that the row does not name, when a cut
//! answer looks like a whole one, or when connections, calls or places are still held five seconds later. `docs/reliability.md` is
//! this table; `UPDATE_EXPECT=1` writes it again.
//!
//! Five trials a row, 200 with `CROSSFADE_SLOW_TESTS` set (of memory over time one, and a longer one); `CROSSFADE_FAULT_SEED` plays the one that failed.

#[cfg(test)]
#[path = "../it/client.rs"]
#[expect(dead_code, reason = "shared with the target `it`, which uses the rest")]
mod client;
#[cfg(test)]
#[path = "../it/harness.rs"]
#[expect(dead_code, reason = "shared with the target `it`, which uses the rest")]
mod harness;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod crowds;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod page;
#[cfg(test)]
mod process;
#[cfg(test)]
mod row;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod table;
#[cfg(test)]
mod trial;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod ways;
