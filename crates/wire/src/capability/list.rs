//! The list of capabilities.

use super::Treatment;
use super::Treatment::{Count, Drop, Fix, Refuse, Rename};

/// What a capability is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// A whole answer.
    Answers,
    /// Limits and sampling.
    Sampling,
    /// A streamed answer.
    Streams,
    /// Tool calls.
    Tools,
    /// Structured output.
    Formats,
    /// What a message may hold.
    Content,
    /// What a request that is wrong is told.
    Errors,
    /// Embeddings.
    Embeddings,
    /// Other endpoints.
    Endpoints,
    /// Services of their own.
    Services,
}

impl Group {
    /// The heading in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Group::Answers => "answers",
            Group::Sampling => "sampling",
            Group::Streams => "streams",
            Group::Tools => "tools",
            Group::Formats => "formats",
            Group::Content => "content",
            Group::Errors => "errors",
            Group::Embeddings => "embeddings",
            Group::Endpoints => "endpoints",
            Group::Services => "services",
        }
    }
}

/// How much a capability counts in the drop-in score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weight {
    /// Most applications break without it: 3.
    Essential,
    /// Many applications use it: 2.
    Usual,
    /// Few applications use it: 1.
    Rare,
    /// A service of its own, which a server of text need not have; shown, not scored: 0.
    Apart,
    /// Not part of the vendor's dialect; shown, not scored: 0.
    Extra,
}

impl Weight {
    /// The number.
    pub const fn points(self) -> u32 {
        match self {
            Weight::Essential => 3,
            Weight::Usual => 2,
            Weight::Rare => 1,
            Weight::Apart | Weight::Extra => 0,
        }
    }
}

macro_rules! capabilities {
    ($($name:ident $id:literal $group:ident $weight:ident $field:literal [$($treatment:ident)*]
        $what:literal $judged:literal;)+) => {
        /// Something an application may rely on. The order is the order of reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Capability { $(#[doc = $what] $name),+ }

        impl Capability {
            /// Every capability.
            pub const ALL: &'static [Capability] = &[$(Capability::$name),+];

            /// The word in config, reports and metrics.
            pub const fn id(self) -> &'static str {
                match self { $(Capability::$name => $id),+ }
            }

            /// What it is.
            pub const fn what(self) -> &'static str {
                match self { $(Capability::$name => $what),+ }
            }

            /// What the probe holds against an answer before it calls the capability equivalent.
            pub const fn judged(self) -> &'static str {
                match self { $(Capability::$name => $judged),+ }
            }

            /// What it is part of.
            pub const fn group(self) -> Group {
                match self { $(Capability::$name => Group::$group),+ }
            }

            /// How much it counts.
            pub const fn weight(self) -> Weight {
                match self { $(Capability::$name => Weight::$weight),+ }
            }

            /// The field of the request, or the part of the answer, that it is about: the label of what is counted.
            pub const fn field(self) -> &'static str {
                match self { $(Capability::$name => $field),+ }
            }

            /// What can be done about it on the way, besides passing it through.
            pub const fn treatments(self) -> &'static [Treatment] {
                match self { $(Capability::$name => &[$($treatment),*]),+ }
            }
        }
    };
}

capabilities! {
    Chat "chat" Answers Essential "choices" []
        "A plain chat completion"
        "status 200; id, object, created, model; one choice with role, text and finish reason";
    ChatUsage "chat_usage" Answers Usual "usage" [Count]
        "Token counts of a whole answer"
        "prompt, completion and total tokens, the third the sum of the others, none of them 0";
    UsageDetails "usage_details" Answers Rare "usage.details" [Count]
        "Token counts in detail"
        "prompt_tokens_details and completion_tokens_details are in the usage";
    AnswerMembers "answer_members" Answers Rare "choices.members" [Count Fix]
        "The members that the vendor's schema requires"
        "message.refusal and the choice's logprobs are there, null when there is nothing to say";
    Greedy "greedy" Answers Usual "temperature" [Count]
        "The same answer twice at temperature 0"
        "two answers with temperature 0 are equal";
    SystemFingerprint "system_fingerprint" Answers Rare "system_fingerprint" [Count]
        "The server's version in every answer"
        "a text under system_fingerprint";

    MaxTokens "max_tokens" Sampling Essential "max_tokens" [Count Rename Refuse]
        "max_tokens limits the answer"
        "of an endless text at most as many tokens come, and the finish reason is length";
    MaxCompletionTokens "max_completion_tokens" Sampling Essential "max_completion_tokens" [Count Rename Refuse]
        "max_completion_tokens limits the answer"
        "of an endless text at most as many tokens come, and the finish reason is length";
    StopString "stop_string" Sampling Usual "stop" [Count Fix Refuse]
        "stop as one text"
        "the answer ends before a text that it had without stop";
    StopArray "stop_array" Sampling Usual "stop" [Count Refuse]
        "stop as a list of texts"
        "the answer ends before a text that it had without stop";
    N "n" Sampling Rare "n" [Count Refuse]
        "Several choices"
        "n: 2 brings two choices with the indices 0 and 1";
    UsageN "usage_n" Sampling Rare "usage.n" [Count Refuse]
        "The usage of several choices counts them all"
        "n: 2 with the same limit counts more completion tokens than n: 1 can";
    Logprobs "logprobs" Sampling Usual "logprobs" [Count Drop Refuse]
        "Log probabilities"
        "logprobs.content has token, logprob, bytes and as many top_logprobs as asked, one entry per token";
    Seed "seed" Sampling Usual "seed" [Count Drop Refuse]
        "seed makes a sampled answer repeatable"
        "the same seed brings the same text three times, and other seeds bring others";
    LogitBias "logit_bias" Sampling Rare "logit_bias" [Count Drop Refuse]
        "logit_bias changes what is said"
        "a token with bias 100 takes over a text that was otherwise without it";
    VendorFields "vendor_fields" Sampling Usual "vendor_fields" [Count Drop Refuse]
        "Fields that say nothing to a model: user, metadata, store, service_tier, safety_identifier, prompt_cache_key"
        "a request with all of them is answered";
    UnknownFields "unknown_fields" Sampling Rare "unknown_fields" [Drop]
        "A field nobody knows does no harm"
        "a request with one is answered, or refused with a 400 in the dialect's envelope as the vendor does";
    ReasoningEffort "reasoning_effort" Sampling Usual "reasoning_effort" [Count Drop Refuse]
        "reasoning_effort is taken"
        "a request with it is answered";
    ReasoningContent "reasoning_content" Sampling Usual "content.reasoning" [Count]
        "Reasoning comes apart from the answer"
        "no think tags in the text; a reasoning or reasoning_content member where the model reasons";

    Stream "stream" Streams Essential "stream" [Refuse]
        "A streamed answer"
        "events with JSON chunks of one id, object and model, a role first, the text in deltas";
    StreamDone "stream_done" Streams Usual "stream.done" [Count Fix]
        "A stream ends with [DONE]"
        "the last event is data: [DONE]";
    StreamUsage "stream_usage" Streams Essential "stream.usage" [Count Fix]
        "The usage of a stream, when asked for"
        "asked: one last chunk with it and without choices; not asked: none";
    StreamOptions "stream_options" Streams Usual "stream_options" [Drop Refuse]
        "stream_options is taken"
        "a stream with include_usage is answered with status 200";
    StreamFinish "stream_finish" Streams Usual "stream.finish_reason" [Count]
        "A stream says why it ended"
        "exactly one finish reason for a choice, in its last chunk";
    StreamParity "stream_parity" Streams Usual "stream" [Count]
        "The same text streamed and whole"
        "at temperature 0 the deltas add up to the text of the whole answer";
    KeepAlive "keep_alive" Streams Rare "connection" []
        "A connection is kept after a stream as announced"
        "the next request after a stream goes over the same connection, or the server said that it closes it";

    ToolsAuto "tools_auto" Tools Essential "tool_calls" [Count Fix Refuse]
        "A tool call comes as one"
        "asked to use a tool, the answer has tool_calls with the tool's name and JSON arguments, and nothing of it in the text";
    ToolsStream "tools_stream" Tools Essential "stream.tool_calls" [Count Fix Refuse]
        "A streamed tool call adds up"
        "an index on every part, id and name once, arguments that join to JSON; finish reason tool_calls";
    ToolsFinishReason "tools_finish_reason" Tools Usual "finish_reason" [Count Fix]
        "The finish reason of a tool call is tool_calls"
        "an answer with tool_calls ends with tool_calls";
    ToolChoiceNamed "tool_choice_named" Tools Usual "tool_choice" [Count Refuse]
        "tool_choice with a name forces that tool"
        "on a prompt without need of a tool, a call of just that tool";
    ToolChoiceRequired "tool_choice_required" Tools Usual "tool_choice" [Count Refuse]
        "tool_choice: required forces some tool"
        "on a prompt without need of a tool, a call of one of the tools";
    ToolChoiceNone "tool_choice_none" Tools Usual "tool_choice" [Count Fix Refuse]
        "tool_choice: none forbids tools"
        "on a prompt that asks for the tool, no call, neither as such nor as text";
    ParallelToolCalls "parallel_tool_calls" Tools Usual "parallel_tool_calls" [Count Drop Refuse]
        "parallel_tool_calls: false is taken and kept"
        "a request with it is answered, with at most one call";
    ToolStrict "tool_strict" Tools Usual "tools.strict" [Count Fix Refuse]
        "strict in a tool's definition is taken"
        "a request with it is answered";
    ToolMessages "tool_messages" Tools Essential "messages.tool" [Count Refuse]
        "A conversation with a tool call and its result is taken"
        "an assistant message with tool_calls and content null, then a tool message, is answered with text";
    Functions "functions" Tools Rare "functions" [Count Refuse]
        "The older functions and function_call"
        "function_call with a name brings message.function_call";

    JsonSchema "json_schema" Formats Essential "response_format" [Count Refuse]
        "response_format: json_schema is kept to"
        "on a prompt about something else, every sample fits the schema";
    JsonObject "json_object" Formats Usual "response_format" [Count Refuse]
        "response_format: json_object is kept to"
        "on a prompt about something else, every sample is one JSON object";

    DeveloperRole "developer_role" Content Usual "messages.developer" [Count Fix Refuse]
        "The role developer is taken"
        "a conversation that begins with it is answered";
    TextParts "text_parts" Content Essential "messages.content" [Count Fix Refuse]
        "Content as a list of text parts"
        "it is answered, and counts as many prompt tokens as the same text in one piece";
    ImagePart "image_part" Content Usual "messages.image_url" [Count Refuse]
        "An image in a message"
        "it is answered, and counts more prompt tokens than without; a model without eyes says so with a 4xx";

    UnknownModel "unknown_model" Errors Usual "model" []
        "A model that is not there is a 404"
        "status 404 and the code model_not_found";
    MissingMessages "missing_messages" Errors Usual "messages" []
        "A request without messages is a 400"
        "status 400 in the dialect's envelope";
    BadJson "bad_json" Errors Rare "body" []
        "A body that is not JSON is a 400"
        "status 400 in the dialect's envelope";
    WrongType "wrong_type" Errors Rare "temperature" [Refuse]
        "A field of the wrong type is a 400"
        "temperature as a text: status 400 in the dialect's envelope";
    StreamErrors "stream_errors" Errors Usual "stream.error" []
        "A request for a stream that is wrong is refused with a status"
        "a 4xx with a JSON body, not an event stream";
    ContextLength "context_length" Errors Usual "error.code" [Fix]
        "A conversation that is too long is told by its code"
        "status 400 and the code context_length_exceeded, which applications shorten their conversation on";
    ErrorEnvelope "error_envelope" Errors Essential "error" [Count Fix]
        "Errors have the dialect's envelope"
        "error with message, type, param and code, each a text, the last two possibly null";

    Embeddings "embeddings" Embeddings Essential "embedding" [Count Fix Refuse]
        "Embeddings"
        "one flat list of numbers per input, with index, object and usage";
    EmbeddingsBase64 "embeddings_base64" Embeddings Essential "encoding_format" [Fix Refuse]
        "Embeddings in base64, which official SDKs ask for"
        "the text decodes to the same 32-bit numbers as without";
    EmbeddingsDimensions "embeddings_dimensions" Embeddings Rare "dimensions" [Count Refuse]
        "dimensions shortens an embedding"
        "as many numbers as asked, or a 400 as the vendor gives for models that cannot";
    EmbeddingsBatch "embeddings_batch" Embeddings Usual "input" [Count Refuse]
        "Several inputs at once"
        "as many embeddings, in order, each equal to the one of its input alone";
    EmbeddingsTokens "embeddings_tokens" Embeddings Rare "input.tokens" [Count Refuse]
        "Inputs as token ids"
        "it is answered with one embedding";

    Models "models" Endpoints Usual "models" []
        "The list of models"
        "object list, and the model that is probed among its ids";
    Completions "completions" Endpoints Rare "completions" []
        "The older completions endpoint"
        "a choice with text and finish reason";
    Responses "responses" Endpoints Usual "responses" []
        "The Responses API"
        "an object response with status and an output message";
    Messages "messages" Endpoints Extra "anthropic.messages" []
        "Anthropic's Messages API"
        "a message with content and stop reason";
    Tokenize "tokenize" Endpoints Extra "tokenize" []
        "Counting tokens without generating"
        "a list of token ids";

    Moderation "moderation" Services Apart "moderations" []
        "Moderation"
        "one result for each of two inputs, each with flagged, categories and category_scores";
    Rerank "rerank" Services Extra "rerank" []
        "Reranking"
        "of three documents the two best, best first, with index and relevance_score, and the one that answers is the first";
    Transcription "transcription" Services Apart "audio.transcriptions" []
        "Speech to text"
        "half a second of sound as a WAV file is answered with a text";
    Speech "speech" Services Apart "audio.speech" []
        "Text to speech"
        "asked for WAV, bytes that begin as such a file does";
    Images "images" Services Apart "images" []
        "Images"
        "one image, as a picture in base64 or a URL, for words; and for a PNG file with words, where edits are served";
    Files "files" Services Apart "files" []
        "Files"
        "a file is taken, read back byte by byte, and deleted";
    Batches "batches" Services Apart "batches" []
        "Batches"
        "a batch of one chat completion over an uploaded file ends within the time of a question, and its output has the answer";
    Assistants "assistants" Services Apart "assistants" []
        "Assistants and threads"
        "an assistant is made, a run of it on a thread ends within the time of a question, its message is read, and both are deleted";
}

impl Capability {
    /// The capability called `id`.
    pub fn named(id: &str) -> Option<Capability> {
        Capability::ALL.iter().copied().find(|capability| capability.id() == id)
    }

    /// What the gateway does about it for every target, whatever the config says: it answers itself, or keeps the connection
    /// for the server.
    pub const fn inherent(self) -> Option<&'static str> {
        match self {
            Capability::UnknownModel => Some("a model without a route is a 404 of the gateway"),
            Capability::MissingMessages => Some("the gateway refuses a chat request without messages"),
            Capability::BadJson => Some("the gateway refuses a body that is not JSON"),
            Capability::Models => Some("the gateway lists its routes"),
            Capability::StreamErrors => Some("an error event before any content becomes a status and an envelope"),
            Capability::KeepAlive => {
                Some("the gateway keeps its own connections, and calls again when a kept one had been closed")
            }
            _ => None,
        }
    }
}
