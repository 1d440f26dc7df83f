//! A disk that fails on request.
