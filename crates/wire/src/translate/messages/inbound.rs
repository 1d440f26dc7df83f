//! The caller speaks Messages, the target speaks chat completions.

mod answer;
mod arguments;
mod content;
mod error;
mod request;
mod stop;
mod stream;

pub use answer::answer;
pub use error::{error, error_status};
pub use request::request;
pub use stream::Stream;

#[cfg(test)]
mod tests;
