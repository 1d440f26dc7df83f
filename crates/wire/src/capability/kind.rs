//! What is known of each kind of server. A row says in which state a capability is, what one sees of it, what Crossfade does
//! about it unless the config says otherwise, and who says so since when.

use super::{Capability, State, Treatment};

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BackendKind {
    /// OpenAI itself: what everything else is compared with.
    Openai,
    /// OpenAI's models at Azure.
    Azure,
    /// Anthropic, through its OpenAI-compatible endpoint.
    Anthropic,
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama.cpp's own `llama-server`.
    LlamaCpp,
    /// The server of the Python package llama-cpp-python.
    LlamaCppPython,
    /// `transformers serve`.
    Transformers,
    /// Hugging Face's Text Generation Inference.
    Tgi,
    /// Ollama.
    Ollama,
    /// Anything else that speaks the dialect.
    Generic,
}

/// Where a row's knowledge is from.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// What was read or probed, with its version.
    pub what: &'static str,
    /// When, `YYYY-MM-DD`.
    pub date: &'static str,
}

/// What is known of one capability at one kind of server.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The capability.
    pub capability: Capability,
    /// The state it is in.
    pub state: State,
    /// What one sees of it.
    pub how: &'static str,
    /// What Crossfade does about it unless the config says otherwise.
    pub treatment: Treatment,
    /// Who says so; `None` for what is assumed.
    pub source: Option<&'static Source>,
}

static LLAMA_CPP: Source = Source {
    what: "`crossfade conformance` on llama.cpp commit 0c1e570 (in llama-cpp-python 0.3.36), a tiny model, --jinja",
    date: "2026-11-25",
};
static LLAMA_CPP_PYTHON: Source = Source {
    what: "`crossfade conformance` on llama-cpp-python 0.3.36, a tiny model; without --interrupt_requests False a stream ends when another request comes, so give the target `max_concurrency: 1` and a queue",
    date: "2026-11-25",
};
static TRANSFORMERS: Source =
    Source { what: "measured on transformers serve 5.23.0, a tiny model", date: "2026-11-20" };
static VLLM: Source = Source { what: "vLLM's page on its OpenAI-compatible server, not probed", date: "2026-11-25" };
static SGLANG: Source =
    Source { what: "SGLang's request model (entrypoints/openai/protocol.py), not probed", date: "2026-11-25" };
static TGI: Source = Source { what: "TGI's request model (router/src/lib.rs), not probed", date: "2026-11-25" };
static OLLAMA: Source = Source { what: "Ollama's page on OpenAI compatibility, not probed", date: "2026-11-25" };

type Row = (Capability, State, Treatment, &'static str);

use BackendKind as Kind;
use Capability as Can;
use State::{Degraded, Equivalent};
use Treatment::{Count, Drop, Fix, Pass, Refuse, Rename};

/// What can be seen in answers and costs nothing to look for: counted at every server that is not the vendor's own.
const WATCHED: [Can; 7] = [
    Can::ChatUsage,
    Can::StreamDone,
    Can::StreamUsage,
    Can::ToolsAuto,
    Can::ToolsFinishReason,
    Can::ToolChoiceNamed,
    Can::ToolChoiceRequired,
];

const LLAMA_CPP_ROWS: &[Row] = &[
    (Can::UsageN, Degraded, Count, "the usage of n choices counts one of them"),
    (Can::KeepAlive, Degraded, Pass, "announces keep-alive and closes the connection after a stream"),
    (Can::ToolChoiceNamed, State::None, Count, "status 200 and free text: the named tool is not forced"),
    (Can::ToolChoiceRequired, State::None, Count, "status 200 and free text: no tool is forced"),
    (Can::ToolChoiceNone, State::None, Fix, "the model sees the tools all the same, and its call comes as text"),
    (Can::Functions, State::None, Refuse, "functions are ignored, status 200"),
    (Can::ImagePart, State::None, Refuse, "status 500 without a projector (mmproj); pass it when the model has one"),
    (Can::UnknownModel, State::None, Pass, "any model name is served"),
    (Can::BadJson, Degraded, Pass, "status 500"),
    (Can::UsageDetails, Degraded, Count, "no completion_tokens_details"),
    (Can::AnswerMembers, Degraded, Fix, "neither refusal nor logprobs"),
    (Can::ContextLength, Degraded, Fix, "the type exceed_context_size_error, and the status for a code"),
    (Can::ErrorEnvelope, Degraded, Fix, "code is a number and param is missing"),
    (Can::EmbeddingsDimensions, State::None, Refuse, "dimensions is ignored, status 200"),
];

const LLAMA_CPP_PYTHON_ROWS: &[Row] = &[
    (Can::UsageDetails, State::None, Count, "no details of prompt or completion"),
    (Can::AnswerMembers, Degraded, Fix, "no refusal"),
    (Can::SystemFingerprint, State::None, Count, "not in the answer"),
    (Can::MaxCompletionTokens, State::None, Rename, "ignored: an answer of 8 tokens ran to the end of the context"),
    (Can::N, State::None, Refuse, "one choice, whatever n"),
    (Can::StreamUsage, State::None, Count, "never sent; stream_options is ignored"),
    (Can::ToolsAuto, State::None, Fix, "calls come as text, finish reason stop"),
    (Can::ToolsStream, State::None, Fix, "calls come as text, finish reason stop"),
    (Can::ToolChoiceRequired, State::None, Refuse, "status 200 and free text: no tool is forced"),
    (Can::ToolChoiceNone, State::None, Fix, "the model sees the tools all the same, and its call comes as text"),
    (Can::ToolMessages, State::None, Refuse, "status 500 for an assistant's call without content"),
    (Can::JsonSchema, State::None, Refuse, "status 500"),
    (Can::DeveloperRole, State::None, Fix, "status 500"),
    (Can::TextParts, Degraded, Fix, "the model reads the parts as they are written in JSON"),
    (Can::UnknownModel, State::None, Pass, "any model name is served"),
    (Can::BadJson, Degraded, Pass, "status 500 in plain text"),
    (Can::ErrorEnvelope, Degraded, Fix, "plain text, or an object without error around it"),
    (Can::Embeddings, Degraded, Fix, "a list of lists, one vector per token"),
];

const TRANSFORMERS_ROWS: &[Row] = &[
    (Can::StreamDone, State::None, Fix, "never sent"),
    (Can::StreamUsage, Degraded, Fix, "always sent, on the chunk with the finish reason; stream_options is dropped"),
    (Can::ToolsAuto, State::None, Fix, "calls come as text, finish reason stop"),
    (Can::ToolsStream, State::None, Fix, "calls come as text, finish reason stop"),
    (Can::ToolChoiceNamed, State::None, Refuse, "tool_choice is dropped with a line in the server's log"),
    (Can::ToolChoiceRequired, State::None, Refuse, "tool_choice is dropped with a line in the server's log"),
    (Can::JsonSchema, State::None, Refuse, "response_format is dropped with a line in the server's log"),
    (Can::JsonObject, State::None, Refuse, "response_format is dropped with a line in the server's log"),
    (Can::UnknownModel, Degraded, Pass, "status 400 with detail in place of error"),
    (Can::MissingMessages, State::None, Pass, "status 500 in plain text"),
    (Can::ErrorEnvelope, State::None, Fix, "detail in place of error, or plain text"),
    (Can::Embeddings, State::None, Refuse, "status 404"),
    (Can::Models, State::None, Pass, "status 500, or an empty list"),
];

const VLLM_ROWS: &[Row] = &[
    (Can::ParallelToolCalls, Degraded, Count, "ignored"),
    (Can::VendorFields, Equivalent, Pass, "user is ignored, as it is of no use to a model"),
    (Can::ToolsAuto, Degraded, Fix, "calls leak as text unless the server runs with the parser of its model"),
    (Can::ToolsStream, Degraded, Fix, "calls leak as text unless the server runs with the parser of its model"),
    (
        Can::ToolChoiceNone,
        Degraded,
        Fix,
        "some versions refuse it without tools, or show the tools to the model all the same",
    ),
    (Can::ErrorEnvelope, Degraded, Fix, "older versions send an object without error around it, and code is a number"),
];

const SGLANG_ROWS: &[Row] = &[
    (Can::Functions, State::None, Refuse, "not in the request model, so ignored"),
    (Can::ToolsAuto, Degraded, Fix, "calls leak as text unless the server runs with the parser of its model"),
    (Can::ToolsStream, Degraded, Fix, "calls leak as text unless the server runs with the parser of its model"),
    (Can::ErrorEnvelope, Degraded, Fix, "an object without error around it, and code is a number"),
];

const TGI_ROWS: &[Row] = &[
    (Can::N, State::None, Refuse, "in the request model, not used"),
    (Can::LogitBias, State::None, Drop, "in the request model, not used"),
    (Can::Functions, State::None, Refuse, "not in the request model, so ignored"),
    (Can::ErrorEnvelope, State::None, Fix, "error is a text, beside error_type"),
];

const OLLAMA_ROWS: &[Row] = &[
    (Can::MaxCompletionTokens, State::None, Rename, "not among the fields it names; max_tokens is"),
    (Can::ToolChoiceNamed, State::None, Count, "tool_choice is not supported"),
    (Can::ToolChoiceRequired, State::None, Count, "tool_choice is not supported"),
    (Can::ToolChoiceNone, State::None, Fix, "tool_choice is not supported"),
    (Can::N, State::None, Refuse, "not supported"),
    (Can::LogitBias, State::None, Drop, "not supported"),
    (Can::Logprobs, Degraded, Count, "supported in newer versions only"),
    (Can::Functions, State::None, Refuse, "not among the fields it names"),
];

impl BackendKind {
    /// Every kind.
    pub const ALL: [BackendKind; 11] = [
        Kind::Openai,
        Kind::Azure,
        Kind::Anthropic,
        Kind::Vllm,
        Kind::Sglang,
        Kind::LlamaCpp,
        Kind::LlamaCppPython,
        Kind::Transformers,
        Kind::Tgi,
        Kind::Ollama,
        Kind::Generic,
    ];

    /// The word in config and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Openai => "openai",
            Kind::Azure => "azure",
            Kind::Anthropic => "anthropic",
            Kind::Vllm => "vllm",
            Kind::Sglang => "sglang",
            Kind::LlamaCpp => "llama_cpp",
            Kind::LlamaCppPython => "llama_cpp_python",
            Kind::Transformers => "transformers",
            Kind::Tgi => "tgi",
            Kind::Ollama => "ollama",
            Kind::Generic => "generic",
        }
    }

    /// What is known of `capability` here.
    pub fn known(self, capability: Capability) -> Known {
        let (rows, source): (&[Row], Option<&'static Source>) = match self {
            Kind::Openai | Kind::Azure | Kind::Anthropic | Kind::Generic => (&[], None),
            Kind::Vllm => (VLLM_ROWS, Some(&VLLM)),
            Kind::Sglang => (SGLANG_ROWS, Some(&SGLANG)),
            Kind::LlamaCpp => (LLAMA_CPP_ROWS, Some(&LLAMA_CPP)),
            Kind::LlamaCppPython => (LLAMA_CPP_PYTHON_ROWS, Some(&LLAMA_CPP_PYTHON)),
            Kind::Transformers => (TRANSFORMERS_ROWS, Some(&TRANSFORMERS)),
            Kind::Tgi => (TGI_ROWS, Some(&TGI)),
            Kind::Ollama => (OLLAMA_ROWS, Some(&OLLAMA)),
        };
        if let Some(&(_, state, treatment, how)) = rows.iter().find(|row| row.0 == capability) {
            return Known { capability, state, how, treatment, source };
        }
        let own = matches!(self, Kind::Openai | Kind::Azure) && capability.weight() != super::Weight::Extra;
        let (state, how) = if own { (Equivalent, "the vendor's own") } else { (State::Unknown, "not measured") };
        let watched = !own && self != Kind::Anthropic && WATCHED.contains(&capability);
        Known { capability, state, how, treatment: if watched { Count } else { Pass }, source: None }
    }
}
