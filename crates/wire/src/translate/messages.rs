//! Between Anthropic Messages and OpenAI chat completions.
//!
//! Two pairs with the functions of [`crate::translate`]: [`inbound`] for a caller that speaks Messages and a target that speaks
//! chat, [`outbound`] for the other way round. [`crate::messages`] reads answers that are passed through.
//!
//! ```text
//! caller speaks Messages                            caller speaks chat
//!   inbound::request(body, policy, target)            outbound::request(body, policy, target, &Claude)
//!   inbound::answer(body, context)                    outbound::answer(body, context)
//!   inbound::Stream::new(context)                     outbound::Stream::new(context)
//!   inbound::error(status, body), error_status        outbound::error(status, body), error_status
//! target speaks chat                                target speaks Messages
//! ```
//!
//! A refusal of [`inbound`] is written for the caller with [`crate::messages::error::body`] and
//! [`status`](crate::messages::error::status); one of [`outbound`] as any other. A target that speaks Messages is called at
//! `/v1/messages` with the headers `anthropic-version: ` [`Claude::version`](outbound::Claude::version) and `x-api-key` or
//! `authorization: Bearer`. The id in a [`Context`](super::Context) becomes `msg_…` or `chatcmpl-…`.
//!
//! A stream of [`inbound`] needs the usage of the target: the translated request asks for it, and its last chunk has to reach
//! the translator. A stream of [`outbound`] shows the usage only if the caller asked. A cut stream is a failure, which
//! `Stream::fail` tells in an event `error` (Messages) or a chunk with `error` (chat); `message_stop` and `[DONE]` come after
//! whole answers only.
//!
//! # What becomes of a Messages request ([`inbound`])
//!
//! | field | in chat | |
//! |---|---|---|
//! | `system`, messages of the role `system` | messages of the role `system`, where they stand | |
//! | messages of one role in a row | one message | as the API reads them |
//! | `text`, `image` (base64, url) | a string when it is one text, else parts | |
//! | `document` | a file part (PDF), or its text or blocks | `replaced`, `file` → `file_reference`, `url` → `media` |
//! | `search_result` | a text | `replaced` |
//! | `tool_use`, `tool_result` | `tool_calls`, messages of the role `tool` before the user's | |
//! | images in a `tool_result` | at the beginning of the user's message after it | `replaced` |
//! | `is_error` | `Error: ` before the text | `replaced` |
//! | `thinking`, `redacted_thinking` of earlier turns | | `reasoning`, `encrypted_reasoning` |
//! | an assistant's message at the end | that message | `prefill` |
//! | `max_tokens`, `temperature`, `top_p`, `top_k`, `stream` | the same; `top_k` is no field of OpenAI's, but of most servers | |
//! | `stop_sequences`, `metadata.user_id`, `output_config.effort` | `stop`, `user`, `reasoning_effort` | `renamed` |
//! | `tools` with an `input_schema`, `tool_choice`, `disable_parallel_tool_use` | functions, `tool_choice`, `parallel_tool_calls` | |
//! | other tools, `mcp_servers`, blocks of such tools | | `server_tools` |
//! | `output_config.format` | `response_format`, strict | |
//! | `thinking` with a budget | `reasoning_effort` | `replaced` |
//! | `thinking` otherwise | shown in the answer when it was asked for, and only then | `disabled`: `removed` |
//! | `container`, `context_management`, `inference_geo` | | `server_state`, `context_management`, `region` |
//! | `cache_control`, `speed`; `user_profile_id`, other `metadata`; `citations`, `diagnostics` | | `hints`; `labels`; `extras` |
//! | fields nobody knows | the same | |
//!
//! # What becomes of a chat request ([`outbound`])
//!
//! | field | in Messages | |
//! |---|---|---|
//! | `system`, `developer` | `system`, in order | `replaced` when one stood in the middle |
//! | other roles | `user` and `assistant` in turn, results of tools first in a turn | |
//! | no first word of the user's | one that says that the conversation begins | `added` |
//! | an assistant's message at the end | that message | `prefill` |
//! | `image_url` | `image`, base64 for `data:`, url for others | |
//! | `file` with a PDF | `document` | others `media`, by id `file_reference` |
//! | audio | | `media` |
//! | `tool_calls`, `tool`; `function_call`, `function` | `tool_use`, `tool_result`; ids the API would not take are rewritten | |
//! | `tools`, `functions`, `tool_choice` in all forms | `tools`, `tool_choice`; `allowed_tools` by leaving out the others | custom tools: `tool_format`, `tool_choice` |
//! | `max_completion_tokens`, `max_tokens` | `max_tokens`; without any, [`Claude::max_tokens`](outbound::Claude::max_tokens) | `added` |
//! | `temperature`, `top_p`, `top_k` | the same if [`Claude::sampling`](outbound::Claude::sampling), at most 1 | else `sampling` |
//! | `stop` | `stop_sequences`; those of white space only | `output_format` |
//! | `response_format` | `output_config.format` for a schema, which Anthropic always holds to | `json_object`: `output_format` |
//! | `reasoning_effort` | `output_config.effort`; `none` is thinking disabled | `replaced` |
//! | `user`, `safety_identifier` | `metadata.user_id` | `renamed` |
//! | `n` above 1, `logprobs`, `logit_bias` | | `choices`, `log_probabilities`, `logit_bias` |
//! | `seed`, penalties, `verbosity` | | `sampling` |
//! | `web_search_options`; `store`, `metadata`; cache fields, `prediction`; `moderation` | | `server_tools`; `labels`; `hints`; `extras` |
//! | fields nobody knows | the same | |
//!
//! # What an answer loses
//!
//! Thinking becomes `reasoning_content` and back. Crossfade cannot sign it: see [`crate::messages::thinking`]. Citations and
//! blocks of tools at the provider have no word in chat. A chat server that does not say which stop sequence it met ended by
//! itself (`end_turn`); vLLM and SGLang say it. Arguments of a call that are no JSON object make an answer `malformed`, unless
//! the model was cut short: then a whole answer has what of them was whole.

pub mod inbound;
mod json;
pub mod outbound;
mod turn;
mod view;

use crate::failure::{Failure, FailureKind};
use crate::openai::Refusal;
use crate::scan::{Kind, ScanError};
use view::Members;

/// What a caller reads whose request cannot be read.
fn unreadable(error: ScanError) -> Refusal {
    Refusal::from(&error)
}

/// The failure of a target whose answer cannot be read.
fn malformed(error: ScanError) -> Failure {
    Failure::new(FailureKind::Malformed, error.to_string())
}

/// Whether a body with a success status is an error all the same: it has an `error` that is true in Python, or says that
/// it is one.
fn is_error(top: &mut Members<'_>) -> bool {
    let error = top.take("error").is_some_and(|error| match error.kind {
        Kind::Object | Kind::Array | Kind::String => error.raw().len() > 2,
        kind => kind == Kind::True,
    });
    error || ["object", "type"].iter().any(|name| top.take(name).is_some_and(|kind| kind.is("error")))
}

#[cfg(test)]
mod support;
#[cfg(test)]
mod tests;
