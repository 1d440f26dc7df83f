//! The store as a process that is killed.

#[cfg(test)]
mod kill;
#[cfg(test)]
mod prune;
