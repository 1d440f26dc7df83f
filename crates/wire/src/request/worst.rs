//! The most a request may come to in tokens, from its bytes alone: for limits that reserve before a call and settle after it.

use memchr::memchr_iter;

use super::RequestView;
use crate::scan;

/// Bytes per token of a prompt, as JSON. English text has 4 to 5 bytes per token, code and most other languages 3, and quotes
/// and keys come on top; so 3 is more tokens than nearly every prompt has.
const BYTES_PER_TOKEN: usize = 3;
/// A string of at least so many bytes that begins like base64 is a picture, a sound or a file.
const LONG: usize = 4096;
/// What one of these counts as: more than the largest picture at OpenAI (1 445 tokens at high detail).
const ATTACHMENT: u64 = 2_000;

/// The same as English text has them, for who wants to know about how many there are.
const USUAL_BYTES_PER_TOKEN: usize = 4;

/// The most tokens a prompt of these bytes has, but for prompts of rare scripts.
pub fn prompt_at_most(body: &[u8]) -> u64 {
    tokens(body, BYTES_PER_TOKEN)
}

/// About how many tokens a part of a prompt has: four bytes each, and 2000 for each picture, sound or file.
pub fn prompt_about(part: &[u8]) -> u64 {
    tokens(part, USUAL_BYTES_PER_TOKEN)
}

fn tokens(body: &[u8], bytes_per_token: usize) -> u64 {
    let (mut n_text, mut n_attachments) = (body.len(), 0);
    if has_long_base64(body) {
        let mut from = 0;
        for at in memchr_iter(b'"', body).chain([body.len()]) {
            if at - from >= LONG && is_base64(&body[from..at]) {
                n_text -= at - from;
                n_attachments += 1;
            }
            from = at + 1;
        }
    }
    n_text.div_ceil(bytes_per_token) as u64 + n_attachments * ATTACHMENT
}

/// Whether a string of [`LONG`] bytes may be in there that is base64 to its end. It would hold one of the places looked at, so that a
/// prompt of 98 KB costs 48 looks instead of a search for every quotation mark.
fn has_long_base64(body: &[u8]) -> bool {
    body.chunks(LONG / 2).any(|chunk| chunk.iter().take(64).all(|byte| is_digit(*byte)))
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

/// By its beginning, which may be that of a `data:` URL.
fn is_base64(text: &[u8]) -> bool {
    let head = &text[..text.len().min(512)];
    let marker = b";base64,";
    let from = head.windows(marker.len()).position(|window| window == marker).map_or(0, |at| at + marker.len());
    head[from..].iter().all(|byte| is_digit(*byte))
}

/// The most tokens an answer has: what the request allows, else `assumed`, for each of `n` answers.
pub fn answer_at_most(view: &RequestView, body: &[u8], n: u64, assumed: u64) -> u64 {
    if !view.endpoint.is_generation() {
        return 0;
    }
    let number = |name: &'static str| {
        let field = view.named(body, name).next().map(|(_, field)| field.value.clone())?;
        scan::unsigned(&body[field])
    };
    let allowed = view.max_completion_tokens.or(view.max_tokens).or_else(|| number("max_output_tokens"));
    // Legacy completions may write more answers than they return.
    let n = n.max(number("best_of").unwrap_or(0));
    allowed.unwrap_or(assumed).saturating_mul(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Endpoint;
    use crate::request::parse;

    #[test]
    fn a_prompt_is_more_tokens_than_it_has() {
        let prompt = r#"{"messages":[{"role":"user","content":"Write a haiku about leaky buckets."}]}"#;
        // cl100k counts 9 for the text and 7 around it.
        assert_eq!(prompt_at_most(prompt.as_bytes()), 26);
        assert_eq!(prompt_at_most(b""), 0);
    }

    #[test]
    fn a_picture_is_not_text() {
        let picture = "iVBORw0KGgo+/=".repeat(10_000);
        for value in [picture.clone(), format!("data:image/png;base64,{picture}")] {
            let body =
                format!(r#"{{"content":[{{"type":"text","text":"hi"}},{{"url":"{value}"}},{{"data":"{value}"}}]}}"#);
            let n = prompt_at_most(body.as_bytes());
            assert!((4_000..4_100).contains(&n), "{n}");
        }
        let text = "a word \\\"or two\\\" ".repeat(10_000);
        assert_eq!(prompt_at_most(text.as_bytes()), text.len().div_ceil(3) as u64);
        let chinese = "\u{6c34}".repeat(10_000);
        assert_eq!(prompt_at_most(chinese.as_bytes()), 10_000);
    }

    #[test]
    fn an_answer_is_at_most_what_the_request_allows() {
        let check = |endpoint, fields: &str| {
            let body = format!(r#"{{"model":"m","messages":[],"prompt":"x","input":"x"{fields}}}"#);
            let view = parse(endpoint, body.as_bytes()).unwrap();
            answer_at_most(&view, body.as_bytes(), view.n.unwrap_or(1), 1_000)
        };
        let chat = Endpoint::ChatCompletions;
        assert_eq!(check(chat, ""), 1_000);
        assert_eq!(check(chat, r#","max_tokens":5"#), 5);
        assert_eq!(check(chat, r#","max_tokens":5,"max_completion_tokens":7,"n":3"#), 21);
        assert_eq!(check(chat, r#","max_tokens":18446744073709551615,"n":9"#), u64::MAX);
        assert_eq!(check(Endpoint::Responses, r#","max_output_tokens":9"#), 9);
        assert_eq!(check(Endpoint::Completions, r#","max_tokens":5,"n":2,"best_of":4"#), 20);
        assert_eq!(check(Endpoint::Embeddings, ""), 0);
    }
}
