//! Tokens as the provider counted them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::scan;

/// The `usage` of an answer. What the provider did not say is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt (`prompt_tokens`).
    pub input_tokens: u64,
    /// Tokens of the completion (`completion_tokens`).
    pub output_tokens: u64,
    /// Those of the prompt that were served from a cache (`prompt_tokens_details.cached_tokens`).
    pub cached_tokens: u64,
    /// Those of the completion spent on reasoning (`completion_tokens_details.reasoning_tokens`).
    pub reasoning_tokens: u64,
}

impl Usage {
    /// Reads the `usage` object at `object` in `body`; `None` when it is not an object or not JSON.
    pub fn read(body: &[u8], object: Range<usize>) -> Option<Usage> {
        let mut usage = Usage::default();
        scan::each_member(body, object, |member| {
            match member.key.as_ref() {
                "prompt_tokens" | "input_tokens" => usage.input_tokens = number(body, &member.value),
                "completion_tokens" | "output_tokens" => usage.output_tokens = number(body, &member.value),
                "prompt_tokens_details" | "input_tokens_details" if member.kind == scan::Kind::Object => {
                    usage.cached_tokens = nested(body, &member.value, "cached_tokens")?;
                }
                "completion_tokens_details" | "output_tokens_details" if member.kind == scan::Kind::Object => {
                    usage.reasoning_tokens = nested(body, &member.value, "reasoning_tokens")?;
                }
                _ => {}
            }
            Ok(())
        })
        .ok()?;
        Some(usage)
    }
}

fn number(body: &[u8], value: &Range<usize>) -> u64 {
    scan::unsigned(&body[value.clone()]).unwrap_or(0)
}

fn nested(body: &[u8], object: &Range<usize>, key: &str) -> Result<u64, scan::ScanError> {
    let mut found = 0;
    scan::each_member(body, object.clone(), |member| {
        if member.key == key {
            found = number(body, &member.value);
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<Usage> {
        Usage::read(text.as_bytes(), 0..text.len())
    }

    #[test]
    fn all_four_numbers_are_read() {
        let usage = check(
            r#"{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,
                "prompt_tokens_details":{"audio_tokens":0,"cached_tokens":5},
                "completion_tokens_details":{"reasoning_tokens":3}}"#,
        );
        let expected = Usage { input_tokens: 11, output_tokens: 7, cached_tokens: 5, reasoning_tokens: 3 };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn what_is_missing_or_null_is_zero() {
        assert_eq!(check(r#"{"prompt_tokens":null,"prompt_tokens_details":null}"#), Some(Usage::default()));
        assert_eq!(check("null"), None);
    }
}
