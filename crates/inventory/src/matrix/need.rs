//! What an application can use of a vendor, and which of it a place in code or a recorded request uses.

use wire::capability::Capability;
use wire::capability::Capability as Can;

use super::effort::Change;
use super::used::{Speaks, Used};

/// Something that an application can use of a vendor, and what proves that another server has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// Its word.
    pub(super) id: &'static str,
    /// What it is.
    pub(super) what: &'static str,
    /// What has to be measured before it counts as had; without any there is no probe for it.
    pub(super) required: &'static [Capability],
    /// What makes it differ when it does, and is named when it was not measured.
    pub(super) helps: &'static [Capability],
    /// What becomes of the code when there is none.
    pub(super) without: Change,
    /// What to do when there is none.
    pub(super) workaround: &'static str,
}

impl Need {
    /// Whether the vendor keeps something of the application's behind it, which has to be moved.
    pub(super) const fn keeps(&self) -> bool {
        matches!(self.without, Change::Rebuild)
    }
}

const fn need(
    (id, what): (&'static str, &'static str),
    required: &'static [Capability],
    helps: &'static [Capability],
    (without, workaround): (Change, &'static str),
) -> Need {
    Need { id, what, required, helps, without, workaround }
}

/// Everything there is, in the order of reports.
pub(super) const NEEDS: &[Need] = &[
    need(
        ("chat", "Chat completions"),
        &[Can::Chat],
        &[Can::ChatUsage, Can::ContextLength, Can::ErrorEnvelope],
        (Change::Rewrite, "another server, or a model with a chat template"),
    ),
    need(
        ("messages", "Anthropic's Messages"),
        &[Can::Messages],
        &[],
        (Change::Rewrite, "the gateway translates it to chat completions where those are there"),
    ),
    need(
        ("responses", "The Responses API"),
        &[Can::Responses],
        &[],
        (Change::Rewrite, "the gateway translates it to chat completions where those are there"),
    ),
    need(
        ("responses_state", "Conversations that the vendor keeps (`previous_response_id`, `conversation`, `store`)"),
        &[],
        &[],
        (
            Change::Rebuild,
            "`responses: { keep: true }` has the gateway go on from earlier responses, whoever answered them",
        ),
    ),
    need(
        ("completions", "The older completions"),
        &[Can::Completions],
        &[],
        (Change::Rewrite, "say the prompt as a conversation, in chat completions"),
    ),
    need(
        ("streaming", "Streamed answers"),
        &[Can::Stream, Can::StreamFinish],
        &[Can::StreamDone, Can::StreamParity],
        (Change::Adjust, "ask for whole answers"),
    ),
    need(
        ("stream_usage", "Token counts of streams"),
        &[Can::StreamUsage, Can::StreamOptions],
        &[],
        (Change::Adjust, "count tokens with the model's own tokenizer"),
    ),
    need(
        ("tools", "Tools"),
        &[Can::ToolsAuto, Can::ToolMessages],
        &[Can::ToolsFinishReason, Can::ToolStrict],
        (Change::Rewrite, "serve the model with the parser of its tool calls, or ask for JSON by a schema"),
    ),
    need(
        ("tools_streaming", "Tools in streamed answers"),
        &[Can::ToolsStream],
        &[],
        (Change::Adjust, "ask for whole answers where tools are offered"),
    ),
    need(
        ("tool_choice", "Tools that are forced or forbidden"),
        &[Can::ToolChoiceNamed, Can::ToolChoiceRequired],
        &[Can::ToolChoiceNone],
        (Change::Adjust, "offer just that tool and hold the answer against its schema, or ask for JSON by a schema"),
    ),
    need(
        ("parallel_tools", "Several tool calls at once, allowed or forbidden"),
        &[Can::ParallelToolCalls],
        &[],
        (Change::Adjust, "run the calls one after the other, or take the first"),
    ),
    need(("functions", "The older functions"), &[Can::Functions], &[], (Change::Adjust, "say them as tools")),
    need(
        ("structured_output", "Answers by a JSON Schema"),
        &[Can::JsonSchema],
        &[Can::JsonObject],
        (Change::Adjust, "have the gateway hold answers against the schema, and repair or retry what does not fit"),
    ),
    need(
        ("json_mode", "Answers as JSON (`json_object`)"),
        &[Can::JsonObject],
        &[],
        (
            Change::Adjust,
            "ask for a schema instead, or have the gateway hold answers against one, and repair or retry what does not fit",
        ),
    ),
    need(
        ("vision", "Images in messages"),
        &[Can::ImagePart],
        &[],
        (Change::Rewrite, "a model with eyes at a target of its own, and a rule that sends requests with images there"),
    ),
    need(
        ("audio_in_chat", "Sound in messages or answers"),
        &[],
        &[],
        (Change::Rewrite, "a speech model before and after the conversation"),
    ),
    need(
        ("web_search", "Search of the web by the vendor"),
        &[],
        &[],
        (Change::Rewrite, "a tool of the application's own that searches"),
    ),
    need(
        ("logprobs", "Log probabilities"),
        &[Can::Logprobs],
        &[],
        (Change::Rewrite, "ask several times and count, or ask the model how sure it is"),
    ),
    need(
        ("reasoning", "Effort of reasoning"),
        &[Can::ReasoningEffort],
        &[Can::ReasoningContent],
        (Change::Adjust, "another prompt or another target for requests that need more thought"),
    ),
    need(
        ("max_tokens", "A limit of the answer (`max_tokens`)"),
        &[Can::MaxTokens],
        &[],
        (Change::Adjust, "the limit under the name the server knows"),
    ),
    need(
        ("max_completion_tokens", "A limit of the answer (`max_completion_tokens`)"),
        &[Can::MaxCompletionTokens],
        &[],
        (Change::Adjust, "the limit under the name the server knows"),
    ),
    need(
        ("stop", "Stop sequences"),
        &[Can::StopString, Can::StopArray],
        &[],
        (Change::Adjust, "cut the answer oneself"),
    ),
    need(
        ("seed", "Repeatable sampling"),
        &[Can::Seed],
        &[],
        (Change::Adjust, "temperature 0 where answers have to repeat"),
    ),
    need(("choices", "Several choices"), &[Can::N], &[Can::UsageN], (Change::Adjust, "ask as many times")),
    need(
        ("logit_bias", "Biased tokens"),
        &[Can::LogitBias],
        &[],
        (Change::Adjust, "say it in the prompt, or ask by a schema"),
    ),
    need(
        ("vendor_fields", "Fields that say nothing to a model (`user`, `metadata`, `store`, `service_tier` …)"),
        &[Can::VendorFields],
        &[],
        (Change::Adjust, "leave them out"),
    ),
    need(
        ("embeddings", "Embeddings"),
        &[Can::Embeddings],
        &[Can::EmbeddingsBase64, Can::EmbeddingsBatch],
        (Change::Rewrite, "an embedding model at a server of its own; what was indexed has to be embedded again"),
    ),
    need(
        ("embeddings_dimensions", "Shortened embeddings"),
        &[Can::EmbeddingsDimensions],
        &[],
        (Change::Adjust, "cut and normalise them oneself where the model was trained for it, or index at full length"),
    ),
    need(
        ("moderation", "Moderation"),
        &[Can::Moderation],
        &[],
        (Change::Rewrite, "an open guard model at a target of its own, asked by a policy's moderation"),
    ),
    need(
        ("rerank", "Reranking"),
        &[Can::Rerank],
        &[],
        (Change::Rewrite, "an open cross-encoder behind a server with `/rerank`"),
    ),
    need(
        ("transcription", "Speech to text"),
        &[Can::Transcription],
        &[],
        (Change::Rewrite, "an open speech model behind a server with `/audio/transcriptions`"),
    ),
    need(
        ("speech", "Text to speech"),
        &[Can::Speech],
        &[],
        (Change::Rewrite, "an open speech model behind a server with `/audio/speech`"),
    ),
    need(
        ("images", "Images"),
        &[Can::Images],
        &[],
        (Change::Rewrite, "an open image model behind a server with `/images/generations`"),
    ),
    need(("video", "Videos"), &[], &[], (Change::Rewrite, "an open video model; none speaks the vendor's dialect")),
    need(
        ("realtime", "Realtime sessions"),
        &[],
        &[],
        (Change::Rewrite, "speech to text, a chat and text to speech one after the other"),
    ),
    need(
        ("assistants", "Assistants and threads"),
        &[Can::Assistants],
        &[],
        (Change::Rebuild, "keep conversations in the application and ask in chat completions or responses"),
    ),
    need(
        ("files", "Files at the vendor"),
        &[Can::Files],
        &[],
        (Change::Rebuild, "keep files in a store of one's own; `crossfade exit export` takes those that are there"),
    ),
    need(
        ("vector_store", "A vector store at a vendor"),
        &[],
        &[],
        (Change::Rebuild, "a vector database of one's own, filled by embedding the texts again"),
    ),
    need(
        ("batches", "Batches"),
        &[Can::Batches],
        &[],
        (Change::Rebuild, "a queue of one's own that asks at a bounded rate, at hours with little load"),
    ),
    need(
        ("fine_tuning", "Fine-tuning at the vendor"),
        &[],
        &[],
        (Change::Rebuild, "train an adapter on open weights with the same examples; weights are not given out"),
    ),
    need(
        ("evals", "Evaluations at the vendor"),
        &[],
        &[],
        (Change::Rebuild, "`crossfade dataset` and `crossfade eval`"),
    ),
    need(
        ("search", "Search at the vendor"),
        &[],
        &[],
        (Change::Rebuild, "a vector database of one's own and a reranker"),
    ),
    need(
        ("tokens", "Counting tokens"),
        &[Can::Tokenize],
        &[],
        (Change::Adjust, "count with the model's own tokenizer"),
    ),
    need(("models", "The list of models"), &[Can::Models], &[], (Change::Adjust, "the gateway lists its routes")),
    need(
        ("unseen", "A client whose calls were not seen"),
        &[],
        &[],
        (Change::Rewrite, "look what is called through it; recorded traffic says it too"),
    ),
];

/// The need of this word.
pub(super) fn named(id: &str) -> Option<&'static Need> {
    NEEDS.iter().find(|need| need.id == id)
}

/// Words of what is used, by one use; none for a client by itself.
pub(super) fn words_of(used: &Used) -> Vec<&'static str> {
    if !used.words.is_empty() {
        return used.words.keys().copied().collect();
    }
    let mut words = match used.operation.as_str() {
        "chat" if used.speaks() == Speaks::Messages => vec!["messages"],
        "chat" => vec!["chat"],
        "responses" => vec!["responses"],
        "completions" => vec!["completions"],
        "embeddings" => return embeddings(used),
        "audio" => return vec![audio(used)],
        "fine-tuning" => return vec!["fine_tuning"],
        "client" => return Vec::new(),
        other => return named(other).map(|need| need.id).into_iter().collect(),
    };
    let flags = used.flags;
    let given = |names: &[&str]| used.parameters.iter().any(|name| names.contains(&plain(name).as_str()));
    let older = given(&["functions", "functioncall"]) && !given(&["tools"]);
    let tools = flags.tools && !older;
    let is_chat = words[0] == "chat";
    let all = [
        (flags.streaming, "streaming"),
        (is_chat && given(&["streamoptions", "includeusage", "streamusage"]), "stream_usage"),
        (tools, "tools"),
        (tools && flags.streaming, "tools_streaming"),
        (given(&["toolchoice"]), "tool_choice"),
        (given(&["paralleltoolcalls"]), "parallel_tools"),
        (older, "functions"),
        (flags.schema, "structured_output"),
        (flags.json_mode, "json_mode"),
        (flags.vision, "vision"),
        (is_chat && given(&["modalities", "audio"]), "audio_in_chat"),
        (given(&["websearchoptions"]), "web_search"),
        (flags.logprobs, "logprobs"),
        (given(&["reasoningeffort", "reasoning", "thinking"]), "reasoning"),
        (is_chat && given(&["maxtokens"]), "max_tokens"),
        (is_chat && given(&["maxcompletiontokens"]), "max_completion_tokens"),
        (given(&["stop", "stopsequences"]), "stop"),
        (given(&["seed"]), "seed"),
        (given(&["n"]), "choices"),
        (given(&["logitbias"]), "logit_bias"),
        (is_chat && given(&VENDOR_FIELDS), "vendor_fields"),
        (words[0] == "responses" && given(&STATE_FIELDS), "responses_state"),
    ];
    words.extend(all.into_iter().filter(|(is_used, _)| *is_used).map(|(_, word)| word));
    words
}

const VENDOR_FIELDS: [&str; 7] =
    ["user", "metadata", "store", "servicetier", "safetyidentifier", "promptcachekey", "promptcacheretention"];
const STATE_FIELDS: [&str; 5] = ["previousresponseid", "conversation", "conversationid", "store", "background"];

fn embeddings(used: &Used) -> Vec<&'static str> {
    let is_short = used.parameters.iter().any(|name| plain(name) == "dimensions");
    if is_short { vec!["embeddings", "embeddings_dimensions"] } else { vec!["embeddings"] }
}

/// Speech is told from the name of what is called; what does not say it is taken as speech to text, which more use.
fn audio(used: &Used) -> &'static str {
    let seen = used.seen.to_lowercase();
    if ["speech.create", "/speech", "text-to-speech", "text_to_speech", "tts", "audio.speech"]
        .iter()
        .any(|name| seen.contains(name))
    {
        "speech"
    } else {
        "transcription"
    }
}

/// Lower case without underscores.
fn plain(name: &str) -> String {
    let name = name.strip_prefix("with_").unwrap_or(name);
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::OPERATIONS;

    #[test]
    fn no_word_comes_twice_and_every_operation_but_a_client_has_one() {
        for (idx, need) in NEEDS.iter().enumerate() {
            assert!(NEEDS[..idx].iter().all(|other| other.id != need.id), "{}", need.id);
            assert!(!need.workaround.is_empty() && !need.what.is_empty(), "{}", need.id);
        }
        for operation in OPERATIONS {
            let used = Used { operation: operation.to_owned(), ..Used::default() };
            let words = words_of(&used);
            assert_eq!(words.is_empty(), operation == "client", "{operation}: {words:?}");
            assert!(words.iter().all(|word| named(word).is_some()), "{operation}: {words:?}");
        }
    }

    #[test]
    fn what_a_call_is_given_says_what_it_uses_however_the_language_writes_it() {
        let of = |operation: &str, parameters: &[&str]| {
            let parameters = parameters.iter().map(|name| (*name).to_owned()).collect();
            words_of(&Used {
                operation: operation.to_owned(),
                vendor: "openai".to_owned(),
                parameters,
                ..Used::default()
            })
        };
        assert_eq!(of("chat", &["LogitBias", "N", "max_tokens"]), ["chat", "max_tokens", "choices", "logit_bias"]);
        assert_eq!(of("responses", &["previous_response_id"]), ["responses", "responses_state"]);
        assert_eq!(of("embeddings", &["Dimensions"]), ["embeddings", "embeddings_dimensions"]);
        assert_eq!(of("chat", &["parallelToolCalls", "toolChoice"]), ["chat", "tool_choice", "parallel_tools"]);
    }

    #[test]
    fn every_service_that_is_probed_is_what_proves_a_need() {
        use wire::capability::Group;
        for &capability in Capability::ALL.iter().filter(|capability| capability.group() == Group::Services) {
            assert!(NEEDS.iter().any(|need| need.required == [capability]), "{}", capability.id());
        }
    }

    #[test]
    fn functions_are_no_tools() {
        let mut used = Used { operation: "chat".to_owned(), vendor: "openai".to_owned(), ..Used::default() };
        used.flags.tools = true;
        used.parameters = vec!["functions".to_owned()];
        assert_eq!(words_of(&used), ["chat", "functions"]);
        used.parameters = vec!["tools".to_owned()];
        used.flags.streaming = true;
        assert_eq!(words_of(&used), ["chat", "streaming", "tools", "tools_streaming"]);
    }
}
