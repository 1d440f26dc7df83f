//! What clients are told: failures in Pinecone's forms, and the shapes that several answers share.

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::filter::Refused;
use super::{Request, Response};
use crate::retry::{Class, Trouble};
use crate::row::Sparse;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Failure {
    status: u16,
    code: &'static str,
    message: String,
    trouble: Option<String>,
}

/// How a failure is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// As the control plane and the documents do.
    Control,
    /// As the vectors do.
    Data,
}

impl Failure {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Failure {
        Failure { status, code, message: message.into(), trouble: None }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(400, "INVALID_ARGUMENT", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Failure {
        Failure::new(404, "NOT_FOUND", message)
    }

    /// Something of the API that is not built.
    pub(super) fn not_here(message: impl Into<String>) -> Failure {
        Failure::new(501, "UNIMPLEMENTED", message)
    }

    /// All that is known of it, for who runs the gateway.
    pub(super) fn why(self) -> String {
        self.trouble.unwrap_or(self.message)
    }

    /// The same, of something in the request.
    pub(super) fn at(self, place: &str) -> Failure {
        Failure { message: format!("{place}: {}", self.message), ..self }
    }

    pub(super) fn no_such_path(request: &Request<'_>) -> Failure {
        Failure::not_found(format!("there is no {} {} here", request.method, request.path))
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::invalid(refused.to_string())
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        let failure = match trouble.class {
            Class::Transient => {
                Failure::new(503, "UNAVAILABLE", "the store is busy or away; the same request may go well later")
            }
            Class::Permanent => {
                Failure::new(500, "INTERNAL", "the store does not answer this; the gateway's log has the reason")
            }
            Class::Poison => Failure::invalid(format!("the store does not take this: {}", trouble.why)),
        };
        Failure { trouble: Some(trouble.to_string()), ..failure }
    }
}

/// A failure as it is answered.
pub(super) fn failed(failure: &Failure, form: Form) -> Response {
    let Failure { status, code, message, trouble } = failure;
    let body = match form {
        Form::Control => json!({ "error": { "code": code, "message": message }, "status": status }),
        Form::Data => json!({ "code": number(code), "message": message, "details": [] }),
    };
    Response { status: *status, body: body.to_string(), trouble: trouble.clone() }
}

/// A code of gRPC by its name.
fn number(code: &str) -> u8 {
    match code {
        "INVALID_ARGUMENT" => 3,
        "NOT_FOUND" => 5,
        "UNIMPLEMENTED" => 12,
        "UNAVAILABLE" => 14,
        "UNAUTHENTICATED" => 16,
        _ => 13,
    }
}

/// Something as JSON. All that is answered has a form in it.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Something as a piece of JSON.
pub(super) fn raw<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(value).map_err(|error| Failure::new(500, "INTERNAL", error.to_string()))
}

/// A canonical text of JSON as a piece of it.
pub(super) fn as_raw(text: &str) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(text.to_owned()).map_err(|error| Failure::new(500, "INTERNAL", error.to_string()))
}

/// A sparse vector on the wire.
#[derive(Debug, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SparseValues {
    pub(super) indices: Vec<u32>,
    pub(super) values: Vec<f32>,
}

impl SparseValues {
    pub(super) fn of(sparse: &Sparse) -> SparseValues {
        SparseValues { indices: sparse.indices().to_vec(), values: sparse.values().to_vec() }
    }

    pub(super) fn read(self) -> Result<Sparse, Failure> {
        if self.values.iter().any(|value| !value.is_finite()) {
            return Err(Failure::invalid("Sparse values must be finite 32-bit floats"));
        }
        Sparse::new(self.indices, self.values)
            .ok_or_else(|| Failure::invalid("a sparse vector has as many values as indices, and each index once"))
    }
}

/// The token by which the page after an identifier is asked for.
pub(super) fn token(id: &str) -> String {
    id.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The identifier that a token was made of.
pub(super) fn of_token(token: &str) -> Result<String, Failure> {
    let wrong = || Failure::invalid("Invalid pagination token");
    let bytes = token.as_bytes().chunks(2).map(|pair| {
        std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    String::from_utf8(bytes.collect::<Option<_>>().ok_or_else(wrong)?).map_err(|_| wrong())
}
