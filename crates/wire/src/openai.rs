//! The OpenAI dialect: chat completions and embeddings, errors, and the list of models.

pub mod answer;
pub mod chunk;
pub mod content;
pub mod logprobs;
mod refusal;
pub mod response;
pub mod typed;

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;

pub use refusal::Refusal;

/// The error object of the dialect. All four keys are always written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// Words for whoever calls.
    pub message: Cow<'static, str>,
    /// The class, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The field at fault.
    pub param: Option<Cow<'static, str>>,
    /// The exact reason, such as `model_not_found`.
    pub code: Option<Cow<'static, str>>,
}

impl ErrorBody {
    /// An error with a message and a class, without field and reason.
    pub fn new(message: impl Into<Cow<'static, str>>, kind: impl Into<Cow<'static, str>>) -> ErrorBody {
        ErrorBody { message: message.into(), kind: kind.into(), param: None, code: None }
    }

    /// The same, about this field.
    pub fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> ErrorBody {
        self.param = Some(param.into());
        self
    }

    /// The same, for this reason.
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> ErrorBody {
        self.code = Some(code.into());
        self
    }

    /// The envelope: `{"error":{"message":…,"type":…,"param":…,"code":…}}`.
    pub fn to_json(&self) -> Bytes {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a ErrorBody,
        }
        json(&Envelope { error: self })
    }
}

/// The body of `GET /v1/models`: the routes an application may name.
pub fn models_list<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Bytes {
    #[derive(Serialize)]
    struct List {
        object: &'static str,
        data: Vec<Model>,
    }
    json(&List { object: "list", data: names.into_iter().map(|name| Model::called(name.as_ref())).collect() })
}

/// The body of `GET /v1/models/{name}`.
pub fn model_entry(name: &str) -> Bytes {
    json(&Model::called(name))
}

#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl Model {
    fn called(name: &str) -> Model {
        Model { id: name.to_owned(), object: "model", created: 0, owned_by: "crossfade" }
    }
}

/// Strings, numbers and lists of them: there is nothing in them that cannot be written.
fn json<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}

/// What `response_format` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ResponseFormat {
    /// Nothing, or `text`.
    #[default]
    Text,
    /// `json_object`
    JsonObject,
    /// `json_schema`
    JsonSchema,
}

/// Whether `content` is what `format` asks for; `None` when it asks for nothing. Whole and strict: one JSON value, no
/// fence around it, nothing after it; for `json_object` that value is an object. Whether it fits a schema is not
/// looked at.
pub fn format_valid(format: ResponseFormat, content: &[u8]) -> Option<bool> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(content.trim_ascii_start().first() == Some(&b'{') && well_formed(content)),
        ResponseFormat::JsonSchema => Some(well_formed(content)),
    }
}

/// Whether `text` is one JSON value in UTF-8. Builds nothing.
pub fn well_formed(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn an_error_has_all_four_keys() {
        let body = ErrorBody::new("no \"such\" route", "invalid_request_error").with_code("model_not_found");
        let expected = r#"{"error":{"message":"no \"such\" route","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
        assert_eq!(body.to_json(), expected);
    }

    #[test]
    fn the_list_of_models_is_the_list_of_routes() {
        let list = models_list(["gpt-4o", "text-embedding-3-small"]);
        expect![[r#"{"object":"list","data":[{"id":"gpt-4o","object":"model","created":0,"owned_by":"crossfade"},{"id":"text-embedding-3-small","object":"model","created":0,"owned_by":"crossfade"}]}"#]]
        .assert_eq(std::str::from_utf8(&list).unwrap());
        assert_eq!(models_list(Vec::<String>::new()), r#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn a_format_is_valid_only_when_the_whole_content_is_json() {
        use ResponseFormat::{JsonObject, JsonSchema, Text};
        assert_eq!(format_valid(Text, b"hello"), None);
        assert_eq!(format_valid(JsonObject, b" {\"a\":[1,2]}\n"), Some(true));
        assert_eq!(format_valid(JsonObject, b"[1]"), Some(false));
        assert_eq!(format_valid(JsonSchema, b"[1]"), Some(true));
        for broken in ["", "```json\n{}\n```", "{\"a\":1", "{} {}", "{'a':1}", "Here: {}", "{\"a\":1,}"] {
            assert_eq!(format_valid(JsonSchema, broken.as_bytes()), Some(false), "{broken}");
        }
        assert_eq!(format_valid(JsonSchema, b"\"\xff\""), Some(false));
    }
}
