//! The loops against servers on real sockets whose pace is known.

mod loops;
