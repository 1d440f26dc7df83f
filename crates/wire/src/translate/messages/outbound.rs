//! The caller speaks chat completions, the target speaks Messages.

mod answer;
mod content;
mod error;
mod request;
mod stream;
mod tools;

pub use answer::answer;
pub use error::{error, error_status};
pub use request::{Claude, request};
pub use stream::Stream;

#[cfg(test)]
mod tests;
