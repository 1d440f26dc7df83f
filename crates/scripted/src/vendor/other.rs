//! Embeddings and the other endpoints.

use serde_json::{Value, json};

use super::words::tokens;
use super::{MODEL, Quirk, Said, Vendor};

const WIDTH: usize = 16;

impl Vendor {
    pub(super) fn embeddings(&self, body: &Value) -> Said {
        let inputs: Vec<String> = match &body["input"] {
            Value::String(text) => vec![text.clone()],
            Value::Array(items) if items.iter().all(Value::is_number) => vec![body["input"].to_string()],
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
            }
            _ => return self.error(400, "input is missing.", Some("input"), None),
        };
        let has_tokens = body["input"].as_array().is_some_and(|items| items.iter().any(|item| !item.is_string()));
        if has_tokens && self.has(Quirk::TokensRefused) {
            return self.error(400, "input must be text.", Some("input"), None);
        }
        let base64 = body["encoding_format"] == "base64";
        if base64 && self.has(Quirk::Base64Refused) {
            return self.error(400, "base64 is not supported.", Some("encoding_format"), None);
        }
        let width = body["dimensions"].as_u64().filter(|_| !self.has(Quirk::DimensionsIgnored));
        let width = width.map_or(WIDTH, |width| usize::try_from(width).unwrap_or(WIDTH));
        let counted = if self.has(Quirk::BatchIgnored) { &inputs[..1] } else { &inputs[..] };
        let data: Vec<Value> = counted
            .iter()
            .enumerate()
            .map(|(index, input)| {
                let vector = vector(input, width);
                let embedding = if self.has(Quirk::EmbeddingsNested) {
                    // One row for each token; their mean is the vector.
                    let row = |sign: f32| vector.iter().map(|x| x + sign * 0.25).collect::<Vec<_>>();
                    json!([row(1.0), row(-1.0)])
                } else if base64 && !self.has(Quirk::Base64Ignored) {
                    encode(&vector).into()
                } else {
                    json!(vector)
                };
                json!({"object": "embedding", "index": index, "embedding": embedding})
            })
            .collect();
        let n: u64 = inputs.iter().map(|input| tokens(input).max(1)).sum();
        Said::ok(json!({
            "object": "list", "data": data, "model": MODEL, "usage": {"prompt_tokens": n, "total_tokens": n},
        }))
    }

    pub(super) fn completions(&self, _: &Value) -> Said {
        Said::ok(json!({
            "id": "cmpl-1", "object": "text_completion", "created": 1_700_000_000, "model": MODEL,
            "choices": [{"index": 0, "text": " there was", "logprobs": null, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
        }))
    }

    pub(super) fn responses(&self, _: &Value) -> Said {
        let text = json!({"type": "output_text", "text": "hello", "annotations": []});
        let message =
            json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]});
        Said::ok(json!({
            "id": "resp_1", "object": "response", "created_at": 1_700_000_000, "model": MODEL, "status": "completed",
            "output": [message], "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
        }))
    }
}

/// A vector of a text: the same for the same text, of eighths so that no digit is lost in 32 bits.
fn vector(text: &str, width: usize) -> Vec<f32> {
    let mut state = text.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u8::try_from(state >> 28).unwrap_or(0)) / 8.0 - 1.0
    };
    (0..width).map(|_| next()).collect()
}

fn encode(vector: &[f32]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |idx: usize| u32::from(three.get(idx).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=three.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * place) & 63) as usize]));
        }
        text.push_str(["", "=", "=="][3 - three.len()]);
    }
    text
}
