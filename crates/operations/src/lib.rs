//! Room `operations`.
