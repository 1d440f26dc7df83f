use std::fmt::Write;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::draws::SplitMix64;
use super::knobs::Knobs;
use super::{Answer, bad_request};

#[derive(Deserialize)]
struct EmbeddingsRequest {
    #[serde(default)]
    model: String,
    input: Value,
    #[serde(default)]
    encoding_format: Option<String>,
    #[serde(default)]
    dimensions: Option<u32>,
}

pub(super) fn embeddings(body: &[u8], knobs: &Knobs) -> Answer {
    let request: EmbeddingsRequest = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return bad_request(&format!("the request cannot be read: {error}")),
    };
    let inputs = match &request.input {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        // Tokens: one input, or a list of inputs.
        Value::Array(items) if items.iter().all(Value::is_number) => vec![request.input.to_string()],
        Value::Array(items) => items.iter().map(Value::to_string).collect(),
        _ => return bad_request("`input` must be a string or a list"),
    };
    let n_dimensions = request.dimensions.unwrap_or(knobs.embedding_dimensions).clamp(1, 8192);
    let base64 = request.encoding_format.as_deref() == Some("base64");
    let mut text = String::from(r#"{"object":"list","data":["#);
    for (idx, input) in inputs.iter().enumerate() {
        let comma = if idx > 0 { "," } else { "" };
        write!(text, r#"{comma}{{"object":"embedding","index":{idx},"embedding":"#).ok();
        push_vector(&mut text, &vector(input, n_dimensions as usize), base64);
        text.push('}');
    }
    let n_tokens: usize = inputs.iter().map(|input| input.len().div_ceil(4)).sum();
    let model = Value::String(request.model);
    write!(text, r#"],"model":{model},"usage":{{"prompt_tokens":{n_tokens},"total_tokens":{n_tokens}}}}}"#).ok();
    Answer::Whole { status: StatusCode::OK, retry_after: None, bytes: Bytes::from(text), n_tokens: 0 }
}

/// A vector of length one: the sum of a pseudo-random vector per word, so that texts with words in common are near each
/// other. The same text always has the same vector.
fn vector(text: &str, n_dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f32; n_dimensions];
    let words = text.split_whitespace().map(str::to_lowercase);
    for word in words.chain(std::iter::once(String::new())) {
        // A small constant part keeps the empty text from being the zero vector.
        let weight = if word.is_empty() { 0.1 } else { 1.0 };
        let mut random = SplitMix64(xxh3_64(word.as_bytes()));
        for chunk in sum.chunks_mut(64) {
            let signs = random.next();
            for (bit, value) in chunk.iter_mut().enumerate() {
                *value += if signs >> bit & 1 == 1 { weight } else { -weight };
            }
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    sum.iter_mut().for_each(|value| *value /= length.max(f32::MIN_POSITIVE));
    sum
}

fn push_vector(text: &mut String, vector: &[f32], base64: bool) {
    if base64 {
        let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
        text.push('"');
        push_base64(text, &bytes);
        text.push('"');
        return;
    }
    text.push('[');
    for (idx, value) in vector.iter().enumerate() {
        let comma = if idx > 0 { "," } else { "" };
        write!(text, "{comma}{value}").ok();
    }
    text.push(']');
}

/// RFC 4648 §4.
fn push_base64(text: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |idx: usize| group.get(idx).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for idx in 0..4 {
            if idx > group.len() {
                text.push('=');
            } else {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * idx) & 63) as usize]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_standards_examples() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            let mut text = String::new();
            push_base64(&mut text, plain.as_bytes());
            assert_eq!(text, coded);
        }
    }

    #[test]
    fn texts_with_words_in_common_are_near_each_other() {
        let dot = |a: &str, b: &str| -> f32 { vector(a, 256).iter().zip(vector(b, 256)).map(|(a, b)| a * b).sum() };
        assert!((dot("open the locker", "open the locker") - 1.0).abs() < 1e-5);
        assert!(dot("how do I open the locker", "open the locker now") > 0.4);
        assert!(dot("how do I open the locker", "invoice payment currency").abs() < 0.3);
        assert!(dot("", "").is_finite());
    }
}
