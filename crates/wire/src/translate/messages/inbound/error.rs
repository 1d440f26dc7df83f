//! An error of a chat server in the envelope of Messages.

use std::borrow::Cow;

use crate::messages::error::{class, envelope};
use crate::openai::ErrorBody;
use crate::translate::messages::view::Members;

/// The body of an answer with the error status `status`, in the envelope of Messages. What is no error of the dialect
/// becomes one that says so.
pub fn error(status: u16, body: &[u8]) -> Vec<u8> {
    let body = read(body);
    envelope(class(Some(status), &body), &body.message, None)
}

/// The status to send with it: Messages has its own for overload (529) and for an account that is used up (402).
pub fn error_status(status: u16, body: &[u8]) -> u16 {
    match class(Some(status), &read(body)) {
        "overloaded_error" => 529,
        "billing_error" => 402,
        _ => status,
    }
}

/// Reads OpenAI's envelope, and the ones without it that inference servers had before.
fn read(body: &[u8]) -> ErrorBody {
    read_envelope(body).unwrap_or_else(|| ErrorBody::new("The model provider answered with an error.", ""))
}

fn read_envelope(body: &[u8]) -> Option<ErrorBody> {
    let mut top = Members::whole(body).ok()?;
    let mut error = match top.take("error") {
        Some(error) if error.text().is_some() => return Some(ErrorBody::new(error.text()?.into_owned(), "")),
        Some(error) => error.members().ok()?,
        None => top,
    };
    let mut text = |name: &str| error.take(name).and_then(|value| value.text()).map(Cow::into_owned);
    let message = text("message").or_else(|| text("detail"))?;
    let mut body = ErrorBody::new(message, text("type").unwrap_or_default());
    body.code = text("code").map(Cow::Owned);
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected_status: u16, expected: &str) {
        assert_eq!(error_status(status, body.as_bytes()), expected_status, "{body}");
        assert_eq!(String::from_utf8(error(status, body.as_bytes())).unwrap(), expected);
    }

    #[test]
    fn every_form_of_an_error_gets_the_envelope_of_messages() {
        check(
            400,
            r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"too long"},"request_id":null}"#,
        );
        check(
            429,
            r#"{"error":{"message":"used up","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            402,
            r#"{"type":"error","error":{"type":"billing_error","message":"used up"},"request_id":null}"#,
        );
        check(
            429,
            r#"{"object":"error","message":"slow down","type":"RateLimit","code":429}"#,
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"},"request_id":null}"#,
        );
        check(
            503,
            r#"{"error":{"message":"loading","type":"unavailable_error","code":503}}"#,
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"loading"},"request_id":null}"#,
        );
        check(
            404,
            r#"{"error":"no such model"}"#,
            404,
            r#"{"type":"error","error":{"type":"not_found_error","message":"no such model"},"request_id":null}"#,
        );
        check(
            500,
            "<html>",
            500,
            r#"{"type":"error","error":{"type":"api_error","message":"The model provider answered with an error."},"request_id":null}"#,
        );
    }
}
