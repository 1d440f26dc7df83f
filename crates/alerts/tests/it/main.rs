//! Alerts from the store to real sockets.

#[cfg(test)]
mod delivery;
