//! The statistics against a second implementation (`tests/reference/generate.py`) and against published libraries
//! (`tests/reference/libraries.py`).

#[cfg(test)]
mod libraries;
#[cfg(test)]
mod merging;
#[cfg(test)]
mod reference;
