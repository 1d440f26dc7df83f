//! An error of a Messages server in OpenAI's envelope.

use std::borrow::Cow;

use crate::openai::ErrorBody;
use crate::translate::messages::view::Members;

/// The body of an answer with the error status `status`, in OpenAI's envelope. What is no error of the dialect becomes one
/// that says so.
pub fn error(status: u16, body: &[u8]) -> Vec<u8> {
    read(status, body).to_json().to_vec()
}

/// The status to send with it: OpenAI says 503 for overload where Messages says 529, and 429 for an account that is used up.
pub fn error_status(status: u16) -> u16 {
    match status {
        529 => 503,
        402 => 429,
        status => status,
    }
}

fn read(status: u16, body: &[u8]) -> ErrorBody {
    let error = Members::whole(body).ok().and_then(|mut top| top.take("error"));
    let text = |name: &str| error.and_then(|error| error.get(name)?.text());
    let message = text("message").unwrap_or(Cow::Borrowed("The model provider answered with an error.")).into_owned();
    let (kind, code) = match text("type").as_deref() {
        Some("authentication_error") => ("invalid_request_error", Some("invalid_api_key")),
        Some("permission_error") => ("invalid_request_error", Some("permission_denied")),
        Some("not_found_error") if message.starts_with("model:") => ("invalid_request_error", Some("model_not_found")),
        Some("not_found_error") => ("invalid_request_error", Some("not_found")),
        Some("request_too_large") => ("invalid_request_error", Some("request_too_large")),
        Some("rate_limit_error") => ("rate_limit_error", Some("rate_limit_exceeded")),
        Some("billing_error") => ("insufficient_quota", Some("insufficient_quota")),
        Some("overloaded_error") => ("server_error", Some("overloaded")),
        Some("timeout_error") => ("server_error", Some("timeout")),
        // What agents look for before they shorten a conversation.
        Some("invalid_request_error") if message.starts_with("prompt is too long") => {
            ("invalid_request_error", Some("context_length_exceeded"))
        }
        Some("invalid_request_error") => ("invalid_request_error", None),
        _ if status == 429 => ("rate_limit_error", Some("rate_limit_exceeded")),
        _ if status < 500 => ("invalid_request_error", None),
        _ => ("server_error", None),
    };
    let mut read = ErrorBody::new(message.clone(), kind);
    read.code = code.map(Cow::Borrowed);
    read.param = field(&message).map(|field| Cow::Owned(chat_field(field)));
    read
}

/// The field an error of Anthropic's is about: its message begins with it (`messages.0.content: …`).
fn field(message: &str) -> Option<&str> {
    let (field, _) = message.split_once(": ")?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
    (field.starts_with(|c: char| c.is_ascii_lowercase()) && field.chars().all(fits)).then_some(field)
}

/// What a chat caller calls it.
fn chat_field(field: &str) -> String {
    let (first, rest) = field.split_once('.').map_or((field, None), |(first, rest)| (first, Some(rest)));
    let first = match first {
        "stop_sequences" => "stop",
        "system" => "messages",
        "output_config" => "response_format",
        first => first,
    };
    match rest {
        Some(rest) if first == "messages" || first == "tools" => format!("{first}.{rest}"),
        _ => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    #[test]
    fn every_type_of_error_gets_openais_envelope() {
        let errors = [
            (400, "invalid_request_error", "messages.0.content: text content blocks must be non-empty"),
            (400, "invalid_request_error", "stop_sequences: each must hold more than white space"),
            (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            (401, "authentication_error", "invalid x-api-key"),
            (402, "billing_error", "Your credit balance is too low"),
            (403, "permission_error", "no access"),
            (404, "not_found_error", "model: claude-x"),
            (413, "request_too_large", "Request exceeds the maximum size"),
            (429, "rate_limit_error", "slow down"),
            (500, "api_error", "Internal server error"),
            (504, "timeout_error", "took too long"),
            (529, "overloaded_error", "Overloaded"),
        ];
        let mut table = String::new();
        for (status, kind, message) in errors {
            let body =
                format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"r"}}"#);
            let body = body.as_bytes();
            let translated = String::from_utf8(error(status, body)).unwrap();
            writeln!(table, "{} {translated}", error_status(status)).unwrap();
        }
        for (status, body) in [(502, "<html>"), (429, ""), (404, r#"{"error":"?"}"#)] {
            writeln!(table, "{status} {}", String::from_utf8(error(status, body.as_bytes())).unwrap()).unwrap();
        }
        expect![[r#"
            400 {"error":{"message":"messages.0.content: text content blocks must be non-empty","type":"invalid_request_error","param":"messages.0.content","code":null}}
            400 {"error":{"message":"stop_sequences: each must hold more than white space","type":"invalid_request_error","param":"stop","code":null}}
            400 {"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}
            401 {"error":{"message":"invalid x-api-key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
            429 {"error":{"message":"Your credit balance is too low","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}
            403 {"error":{"message":"no access","type":"invalid_request_error","param":null,"code":"permission_denied"}}
            404 {"error":{"message":"model: claude-x","type":"invalid_request_error","param":"model","code":"model_not_found"}}
            413 {"error":{"message":"Request exceeds the maximum size","type":"invalid_request_error","param":null,"code":"request_too_large"}}
            429 {"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}
            500 {"error":{"message":"Internal server error","type":"server_error","param":null,"code":null}}
            504 {"error":{"message":"took too long","type":"server_error","param":null,"code":"timeout"}}
            503 {"error":{"message":"Overloaded","type":"server_error","param":null,"code":"overloaded"}}
            502 {"error":{"message":"The model provider answered with an error.","type":"server_error","param":null,"code":null}}
            429 {"error":{"message":"The model provider answered with an error.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}
            404 {"error":{"message":"The model provider answered with an error.","type":"invalid_request_error","param":null,"code":null}}
        "#]].assert_eq(&table);
    }
}
