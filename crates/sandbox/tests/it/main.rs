//! What tries to get out, and does not.

#[cfg(test)]
mod contained;
