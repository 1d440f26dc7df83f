//! A caller that speaks Responses, a target that speaks chat completions.
//!
//! [`request`], [`answer`], [`Stream`] and [`error`] are the functions every pair has; see [the room](super) for the order in
//! which they are called.
//!
//! # What the gateway decides
//!
//! Ids: a [`Context::id`](super::Context) of `0192…` gives the response `resp_0192…` and the items `msg_0192…0000`,
//! `fc_0192…0001` and so on, in the whole answer and in the stream alike.
//!
//! Keeping responses: [`request`] refuses `previous_response_id` (as [`Loss::ServerState`](super::Loss)) and takes `store`
//! away, because a chat server keeps nothing that could be gone on from. Whoever keeps responses does these things around it:
//!
//! 1. On a request with a [`previous_response_id`], look up what was kept under it. If it is there, go on with
//!    `prepend(request, kept)`; if it is not, answer 404. Some applications (the Vercel AI SDK among them) send ids of single
//!    items instead, `item_reference`: look up every response that [`referenced`] names, and go on with
//!    `resolve(request, &[kept, …])`. What was not found is refused on translation.
//! 2. Unless the request says `"store": false`, and once the answer is complete or incomplete (not when it failed), keep
//!    `kept(request, output)` under the response's id. `request` is the one after [`prepend`] and [`resolve`], so that what is kept is the
//!    whole conversation; `output` is the `output` of the response object, or [`Stream::output`] after the end.
//! 3. Give the caller's own request, before [`prepend`] and [`resolve`], to the [`Context`](super::Context): the answer repeats it.
//!
//! Kept items are as private as the requests they came from, and belong to the principal that sent them: look them up by
//! principal and id, so that nobody goes on from another's conversation.
//!
//! # How things are said
//!
//! `instructions` become a system message before all others. An assistant's message and the calls after it become one
//! message. A choice of `allowed_tools` becomes a request with only those tools. The reasoning of earlier turns is lost (see
//! the policy), and so is that functions are strict unless they say otherwise: `strict` is passed on when it is there.
//! A stream's usage is always asked for.
//!
//! A server's reasoning is the `content` of a reasoning item; where the caller asked for a summary it is the `summary`,
//! because that is where such callers look. A call without an id, or with one that another call has, gets one of ours.

mod answer;
mod error;
mod items;
mod object;
mod previous;
mod request;
mod stream;
mod tools;

pub use answer::answer;
pub use error::error;
pub use previous::{kept, prepend, previous_response_id, referenced, resolve};
pub use request::request;
pub use stream::Stream;

use crate::openai::Refusal;

/// `param` is not what it should be.
fn wrong(param: impl Into<String>, expected: &'static str) -> Refusal {
    let param = param.into();
    Refusal::invalid_value(format!("`{param}` must be {expected}."), param)
}
