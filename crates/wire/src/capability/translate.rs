//! A request as a target's server understands it: what its profile says is renamed, dropped, put right, counted or refused.

mod request;

use crate::record::{AdaptationAction, Endpoint};
use crate::request::RequestView;
use crate::scan::ScanError;
use crate::splice::Patch;

use super::{Capability, Profile, Treatment};
pub(super) use request::{Asked, member_cut};

/// The target's server cannot do what the request asks for, and its profile says to refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} is refused for this target", .0.field())]
pub struct Unsupported(pub Capability);

/// The fields of a request that say nothing to a model.
const VENDOR_FIELDS: [&str; 7] =
    ["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"];

/// The fields of a chat request, by the vendor's API reference of 2026-11.
const CHAT_FIELDS: [&str; 41] = [
    "messages",
    "model",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
    "reasoning",
    "background",
    "connector_ids",
    "extra_headers",
];

/// The fields of an embeddings request.
const EMBEDDING_FIELDS: [&str; 5] = ["input", "model", "dimensions", "encoding_format", "user"];

/// Puts into `patch` what `profile` asks for a request read as `view` from `body`.
///
/// # Errors
/// When the request uses what the profile refuses.
pub fn translate(profile: &Profile, body: &[u8], view: &RequestView, patch: &mut Patch<'_>) -> Result<(), Unsupported> {
    // The other endpoints have no rows of their own yet.
    if !matches!(view.endpoint, Endpoint::ChatCompletions | Endpoint::Embeddings) {
        return Ok(());
    }
    let asked = Asked { body, view };
    for &(capability, treatment) in profile.treated() {
        if !asked.uses(capability) {
            continue;
        }
        match treatment {
            Treatment::Pass => {}
            Treatment::Refuse => return Err(Unsupported(capability)),
            Treatment::Count if shows_in_answers(capability) => {}
            Treatment::Count => patch.note(capability.field(), AdaptationAction::Counted),
            Treatment::Rename => rename(capability, patch),
            Treatment::Drop => drop(capability, &asked, patch),
            Treatment::Fix => fix(capability, &asked, patch),
        }
    }
    Ok(())
}

/// Whether an answer shows that the server failed at it. What shows is counted when it happens, the rest whenever a request
/// uses it.
pub(super) const fn shows_in_answers(capability: Capability) -> bool {
    use Capability as Can;
    matches!(
        capability,
        Can::ChatUsage
            | Can::UsageDetails
            | Can::AnswerMembers
            | Can::SystemFingerprint
            | Can::MaxTokens
            | Can::MaxCompletionTokens
            | Can::N
            | Can::Logprobs
            | Can::ReasoningContent
            | Can::StreamDone
            | Can::StreamUsage
            | Can::StreamFinish
            | Can::ToolsAuto
            | Can::ToolsStream
            | Can::ToolsFinishReason
            | Can::ToolChoiceNamed
            | Can::ToolChoiceRequired
            | Can::ToolChoiceNone
            | Can::ParallelToolCalls
            | Can::JsonSchema
            | Can::JsonObject
            | Can::ErrorEnvelope
            | Can::Embeddings
            | Can::EmbeddingsDimensions
            | Can::EmbeddingsBatch
    )
}

fn rename(capability: Capability, patch: &mut Patch<'_>) {
    match capability {
        Capability::MaxCompletionTokens => patch.rename("max_completion_tokens", "max_tokens"),
        Capability::MaxTokens => patch.rename("max_tokens", "max_completion_tokens"),
        _ => {}
    }
}

fn drop(capability: Capability, asked: &Asked<'_>, patch: &mut Patch<'_>) {
    match capability {
        Capability::VendorFields => VENDOR_FIELDS.iter().for_each(|field| patch.remove(field)),
        Capability::Logprobs => ["logprobs", "top_logprobs"].iter().for_each(|field| patch.remove(field)),
        Capability::UnknownFields => asked.unknown_fields().iter().for_each(|field| patch.remove(field)),
        other => patch.remove(other.field()),
    }
}

/// What of a request has to be put right. What of an answer has to be is none of this.
fn fix(capability: Capability, asked: &Asked<'_>, patch: &mut Patch<'_>) {
    // A message or a tool that cannot be read is left as it is: its server says what is wrong with it.
    let edits = match capability {
        Capability::StopString => {
            if let Some(stop) = asked.text("stop") {
                patch.set("stop", [b"[", stop, b"]"].concat());
            }
            return;
        }
        Capability::ToolChoiceNone => {
            ["tools", "tool_choice", "parallel_tool_calls"].iter().for_each(|field| patch.remove(field));
            return;
        }
        Capability::EmbeddingsBase64 => return patch.set("encoding_format", &b"\"float\""[..]),
        Capability::DeveloperRole => asked.developer_roles(),
        Capability::TextParts => asked.joined_texts(),
        Capability::ToolStrict => asked.strict_members(),
        _ => return,
    };
    let edits = edits.unwrap_or_else(|_: ScanError| Vec::new());
    if !edits.is_empty() {
        patch.edit(edits);
        patch.note(capability.field(), AdaptationAction::Fixed);
    }
}
