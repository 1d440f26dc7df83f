//! The statistics against a second implementation (`tests/reference/generate.py`) and against published libraries
//! (`tests/reference/libraries.py`), and error rates by simulation.

#[cfg(test)]
mod comparisons;
#[cfg(test)]
mod libraries;
#[cfg(test)]
mod merging;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod retrieval;
#[cfg(test)]
mod simulated;
