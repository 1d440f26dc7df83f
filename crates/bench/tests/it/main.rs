//! The loops against servers on real sockets whose pace is known.

#![expect(clippy::unwrap_used, reason = "the functions around a test stop it as the test itself would")]

mod loops;
mod replay;
mod stage;
mod truth;
