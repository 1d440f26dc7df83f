//! A server that speaks the vendor's dialect as it should, but for the quirks one asks for: each is something that real
//! servers do wrong, most of them in silence.
//!
//! Its model is a rule: the same question at temperature 0 brings the same words, a seed brings its own, and a question
//! about the weather brings a call of the tool that is offered. Every word is a token.

mod chat;
mod other;
mod services;
mod stream;
mod words;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::{After, Received, Script, Upstream};

/// The model that [`Vendor`] serves.
pub const MODEL: &str = "scripted-model";

/// How many tokens a conversation may have.
const CONTEXT: u64 = 4096;

/// Something a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// A stream ends without `[DONE]`.
    NoDone,
    /// A stream never tells its usage.
    NoStreamUsage,
    /// A stream tells its usage on the chunk with the finish reason, asked or not.
    UsageOnFinish,
    /// `stream_options` is a 400.
    StreamOptionsRefused,
    /// A stream has no finish reason.
    NoStreamFinish,
    /// A streamed text has a blank before it that the whole one has not.
    StreamDiffers,
    /// Streams are answered whole.
    NoStreams,
    /// The connection is closed after a stream, without a word.
    ClosesAfterStream,
    /// A wrong request for a stream gets status 200 and an error event.
    ErrorsInStreams,
    /// Tool calls come as text, finish reason `stop`.
    ToolsLeak,
    /// Tool calls come with finish reason `stop`.
    ToolsFinishStop,
    /// The parts of streamed tool calls have no index.
    ToolPartsWithoutIndex,
    /// Every part of a streamed tool call repeats its id and name.
    ToolPartsRepeat,
    /// `tool_choice` with a name does nothing.
    NamedIgnored,
    /// `tool_choice: required` does nothing.
    RequiredIgnored,
    /// `tool_choice: none` does nothing.
    ToolsNoneIgnored,
    /// `parallel_tool_calls` does nothing.
    ParallelIgnored,
    /// `strict` in a function is a 400.
    StrictRefused,
    /// A conversation with a tool's result is a 500.
    ToolMessagesRefused,
    /// `functions` do nothing.
    FunctionsIgnored,
    /// `response_format: json_schema` is a 500.
    JsonSchemaBroken,
    /// `response_format: json_schema` does nothing.
    JsonSchemaIgnored,
    /// `response_format: json_object` does nothing.
    JsonObjectIgnored,
    /// `max_completion_tokens` does nothing.
    MaxCompletionTokensIgnored,
    /// `max_tokens` does nothing.
    MaxTokensIgnored,
    /// `stop` as a text is a 422.
    StopStringRefused,
    /// `stop` does nothing.
    StopIgnored,
    /// `n` does nothing.
    NIgnored,
    /// The usage of several choices counts one.
    UsageCountsOne,
    /// `logprobs` do nothing.
    LogprobsIgnored,
    /// `seed` does nothing.
    SeedIgnored,
    /// `logit_bias` does nothing.
    BiasIgnored,
    /// Two answers at temperature 0 differ.
    NotGreedy,
    /// `metadata` is a 400.
    MetadataRefused,
    /// A field it does not know is a 422.
    UnknownFieldsRefused,
    /// `reasoning_effort` is a 400.
    ReasoningEffortRefused,
    /// The model's thoughts are in the text.
    ThinksAloud,
    /// The role `developer` is a 400.
    DeveloperRefused,
    /// Content as a list is a 400.
    PartsRefused,
    /// An image is not looked at.
    ImageIgnored,
    /// An image is a 500.
    ImageBroken,
    /// Any model name is served.
    AnyModel,
    /// No messages is a 500 in plain text.
    NoMessagesBroken,
    /// A body that is not JSON is a 500.
    BadJsonBroken,
    /// A temperature that is no number is taken.
    WrongTypeTaken,
    /// Errors are `{"detail": …}`.
    DetailErrors,
    /// The code of an error is its status, and there is no param.
    NumericCodes,
    /// A conversation that is too long has no code.
    ContextWithoutCode,
    /// The list of models is a 500.
    ModelsBroken,
    /// The list of models is empty.
    ModelsEmpty,
    /// No usage in answers.
    NoUsage,
    /// No details in the usage.
    NoUsageDetails,
    /// Neither `refusal` nor `logprobs` in answers.
    NoNulls,
    /// No `system_fingerprint`.
    NoFingerprint,
    /// No embeddings: 404.
    NoEmbeddings,
    /// Embeddings are lists of lists, one for each token.
    EmbeddingsNested,
    /// `encoding_format` does nothing.
    Base64Ignored,
    /// `encoding_format: base64` is a 400.
    Base64Refused,
    /// `dimensions` does nothing.
    DimensionsIgnored,
    /// Several inputs bring one embedding.
    BatchIgnored,
    /// Token ids are a 400.
    TokensRefused,
    /// No older completions: 404.
    NoCompletions,
    /// No responses: 404.
    NoResponses,
    /// None of moderation, reranking, sound, images, files, batches and assistants: 404.
    NoServices,
    /// A result of moderation has no categories.
    ModerationBare,
    /// The worst document is first.
    RerankReversed,
    /// A transcription is plain text, whatever was asked for.
    TranscriptionPlain,
    /// Speech is MP3, whatever was asked for.
    SpeechMp3,
    /// Images are made and not edited: 404.
    NoImageEdits,
    /// A file cannot be read back, so that batches cannot either.
    FilesUnreadable,
    /// Every batch fails.
    BatchesFail,
    /// Every run of an assistant fails.
    RunsFail,
}

impl Quirk {
    /// What llama.cpp's `llama-server` does wrong, as measured.
    pub const LLAMA_SERVER: [Quirk; 10] = [
        Quirk::UsageCountsOne,
        Quirk::ClosesAfterStream,
        Quirk::NamedIgnored,
        Quirk::RequiredIgnored,
        Quirk::AnyModel,
        Quirk::FunctionsIgnored,
        Quirk::ImageBroken,
        Quirk::NumericCodes,
        Quirk::DimensionsIgnored,
        Quirk::NoServices,
    ];
    /// What the server of llama-cpp-python does wrong, as measured.
    pub const LLAMA_CPP_PYTHON: [Quirk; 6] = [
        Quirk::NoStreamUsage,
        Quirk::JsonSchemaBroken,
        Quirk::ToolsLeak,
        Quirk::MaxCompletionTokensIgnored,
        Quirk::EmbeddingsNested,
        Quirk::NotGreedy,
    ];
    /// What `transformers serve` does wrong, as measured.
    pub const TRANSFORMERS: [Quirk; 10] = [
        Quirk::NoDone,
        Quirk::UsageOnFinish,
        Quirk::JsonSchemaIgnored,
        Quirk::JsonObjectIgnored,
        Quirk::ToolsLeak,
        Quirk::NamedIgnored,
        Quirk::NoEmbeddings,
        Quirk::DetailErrors,
        Quirk::NoMessagesBroken,
        Quirk::ModelsEmpty,
    ];
}

/// The server's mind: its quirks, and a count of what it was asked.
pub(crate) struct Vendor {
    quirks: BTreeSet<Quirk>,
    n_asked: AtomicU64,
    kept: services::Kept,
}

/// An answer without a stream.
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Said {
    pub(crate) const fn ok(body: Value) -> Said {
        Said { status: 200, body }
    }
}

/// Starts the server.
pub fn vendor(quirks: &[Quirk]) -> Upstream {
    let vendor = Vendor {
        quirks: quirks.iter().copied().collect(),
        n_asked: AtomicU64::new(0),
        kept: services::Kept::default(),
    };
    Upstream::with(move |request| vendor.answer(request))
}

impl Vendor {
    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// A number that is another for each request.
    pub(crate) fn count(&self) -> u64 {
        self.n_asked.fetch_add(1, Ordering::Relaxed)
    }

    fn answer(&self, request: &Received) -> Script {
        let path = request.path.strip_prefix("/v1").unwrap_or(&request.path);
        if request.method == "GET" && path == "/models" {
            return self.models();
        }
        if let Some(script) = self.service(request, path) {
            return script;
        }
        let is_form = request.header("content-type").is_some_and(|kind| kind.starts_with("multipart/"));
        if is_form || request.method != "POST" {
            return self.said(&self.error(404, "There is nothing at this path.", None, Some("unknown_url")));
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            let status = if self.has(Quirk::BadJsonBroken) { 500 } else { 400 };
            return self.said(&self.error(status, "The body is not JSON.", None, None));
        };
        let said = match path {
            "/chat/completions" => return self.chat(&body),
            "/embeddings" if !self.has(Quirk::NoEmbeddings) => self.embeddings(&body),
            "/completions" if !self.has(Quirk::NoCompletions) => self.completions(&body),
            "/responses" if !self.has(Quirk::NoResponses) => self.responses(&body),
            "/messages" => Said::ok(json!({
                "id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "hello"}],
                "model": MODEL, "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 3, "output_tokens": 1},
            })),
            "/messages/count_tokens" => Said::ok(json!({"input_tokens": 3})),
            _ => self.error(404, "There is nothing at this path.", None, Some("unknown_url")),
        };
        self.said(&said)
    }

    pub(crate) fn said(&self, said: &Said) -> Script {
        if let Value::String(text) = &said.body {
            return Script::status(said.status).header("content-type", "text/plain").piece(text.as_bytes());
        }
        let script = Script::json(said.body.to_string());
        Script { status: said.status, ..script }
    }

    fn models(&self) -> Script {
        if self.has(Quirk::ModelsBroken) {
            return self.said(&self.error(500, "No list.", None, None));
        }
        let model =
            json!({"id": MODEL, "object": "model", "created": 1, "owned_by": "scripted", "max_model_len": CONTEXT});
        let data = if self.has(Quirk::ModelsEmpty) { json!([]) } else { json!([model]) };
        self.said(&Said::ok(json!({"object": "list", "data": data})))
    }

    /// A refusal, in the form that the quirks ask for.
    pub(crate) fn error(&self, status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Said {
        let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
        let body = if self.has(Quirk::DetailErrors) {
            json!({"detail": message})
        } else if self.has(Quirk::NumericCodes) {
            json!({"error": {"message": message, "type": kind, "code": status}})
        } else {
            json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
        };
        Said { status, body }
    }

    /// An answer that ends its connection without having said so.
    pub(crate) fn after_stream(&self, script: Script) -> Script {
        if self.has(Quirk::ClosesAfterStream) { script.after(After::CloseSilently) } else { script }
    }
}
