//! The store as a process that is killed.

mod kill;
