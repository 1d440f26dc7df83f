//! The statistics against a second implementation (`tests/reference/generate.py`), and their error rates by simulation.

#[cfg(test)]
mod merging;
#[cfg(test)]
mod reference;
