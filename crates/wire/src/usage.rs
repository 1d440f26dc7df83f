//! What an answer used, as the provider counted it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::scan;

/// The `usage` of an answer. What the provider did not say is 0. Input and output are whole: the numbers after them say how
/// much of them was of a kind.
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
    /// Those of the prompt that were written to a cache.
    pub cache_write_tokens: u64,
    /// Those of them that are kept for an hour.
    pub cache_write_1h_tokens: u64,
    /// Those of the prompt that are sound.
    pub audio_input_tokens: u64,
    /// Those of the completion that are sound.
    pub audio_output_tokens: u64,
    /// Those of the prompt that are pictures.
    pub image_input_tokens: u64,
    /// Those of the completion that are pictures.
    pub image_output_tokens: u64,
    /// Searches of the web made for the answer.
    pub web_searches: u64,
    /// Seconds of sound that went in, where that is what is counted; a begun second is one.
    pub audio_seconds: u64,
    /// The kind of service the provider says it gave.
    pub tier: Tier,
}

/// The kind of service a call got, which has its own prices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The usual one, also when nothing was said.
    #[default]
    Standard,
    /// Later, for less.
    Batch,
    /// When there is room, for less.
    Flex,
    /// First, for more.
    Priority,
    /// From capacity bought beforehand.
    Scale,
    /// One that Crossfade has no word for.
    Other,
}

impl Tier {
    /// The word in records and price sheets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Standard => "standard",
            Tier::Batch => "batch",
            Tier::Flex => "flex",
            Tier::Priority => "priority",
            Tier::Scale => "scale",
            Tier::Other => "other",
        }
    }

    /// The tier that `service_tier` names: a string literal, quotation marks included, or `null`.
    pub fn read(literal: &[u8]) -> Tier {
        match literal {
            b"null" | b"\"default\"" | b"\"standard\"" | b"\"auto\"" | b"\"on_demand\"" => Tier::Standard,
            b"\"batch\"" => Tier::Batch,
            b"\"flex\"" => Tier::Flex,
            b"\"priority\"" => Tier::Priority,
            b"\"scale\"" => Tier::Scale,
            _ => Tier::Other,
        }
    }
}

impl Usage {
    /// Reads the `usage` object at `object` in `body`; `None` when it is not an object or not JSON.
    pub fn read(body: &[u8], object: Range<usize>) -> Option<Usage> {
        let mut usage = Usage::default();
        scan::each_member(body, object, |member| {
            let is_object = member.kind == scan::Kind::Object;
            match member.key.as_ref() {
                "prompt_tokens" | "input_tokens" => usage.input_tokens = number(body, &member.value),
                "completion_tokens" | "output_tokens" => usage.output_tokens = number(body, &member.value),
                "prompt_tokens_details" | "input_tokens_details" | "input_token_details" if is_object => {
                    usage.read_input(body, member.value)?;
                }
                "completion_tokens_details" | "output_tokens_details" | "output_token_details" if is_object => {
                    usage.read_output(body, member.value)?;
                }
                // Servers that count these beside the details instead of in them.
                "cached_tokens" | "prompt_cache_hit_tokens" => {
                    usage.cached_tokens = usage.cached_tokens.max(number(body, &member.value));
                }
                "reasoning_tokens" => {
                    usage.reasoning_tokens = usage.reasoning_tokens.max(number(body, &member.value));
                }
                "num_search_queries" => usage.web_searches = number(body, &member.value),
                "seconds" => usage.audio_seconds = seconds(&body[member.value]),
                _ => {}
            }
            Ok(())
        })
        .ok()?;
        Some(usage)
    }

    fn read_input(&mut self, body: &[u8], object: Range<usize>) -> Result<(), scan::ScanError> {
        scan::each_member(body, object, |member| {
            match member.key.as_ref() {
                "cached_tokens" => self.cached_tokens = number(body, &member.value),
                "cache_write_tokens" | "cache_creation_tokens" => {
                    self.cache_write_tokens = number(body, &member.value);
                }
                "audio_tokens" => self.audio_input_tokens = number(body, &member.value),
                "image_tokens" => self.image_input_tokens = number(body, &member.value),
                _ => {}
            }
            Ok(())
        })
    }

    fn read_output(&mut self, body: &[u8], object: Range<usize>) -> Result<(), scan::ScanError> {
        scan::each_member(body, object, |member| {
            match member.key.as_ref() {
                "reasoning_tokens" => self.reasoning_tokens = number(body, &member.value),
                "audio_tokens" => self.audio_output_tokens = number(body, &member.value),
                "image_tokens" => self.image_output_tokens = number(body, &member.value),
                _ => {}
            }
            Ok(())
        })
    }
}

fn number(body: &[u8], value: &Range<usize>) -> u64 {
    scan::unsigned(&body[value.clone()]).unwrap_or(0)
}

/// Whole seconds of `12` or `12.4`: a begun one counts.
fn seconds(literal: &[u8]) -> u64 {
    let mut parts = literal.splitn(2, |byte| *byte == b'.');
    let whole = parts.next().and_then(scan::unsigned).unwrap_or(0);
    let begun = parts.next().is_some_and(|rest| rest.iter().any(|byte| (b'1'..=b'9').contains(byte)));
    whole + u64::from(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<Usage> {
        Usage::read(text.as_bytes(), 0..text.len())
    }

    #[test]
    fn whole_numbers_and_their_parts_are_read() {
        let usage = check(
            r#"{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,
                "prompt_tokens_details":{"audio_tokens":2,"cached_tokens":5,"cache_write_tokens":1,"image_tokens":3},
                "completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":1,"image_tokens":2}}"#,
        );
        let expected = Usage {
            input_tokens: 11,
            output_tokens: 7,
            cached_tokens: 5,
            reasoning_tokens: 3,
            cache_write_tokens: 1,
            audio_input_tokens: 2,
            audio_output_tokens: 1,
            image_input_tokens: 3,
            image_output_tokens: 2,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn what_is_counted_beside_the_details_is_read_too() {
        let usage =
            check(r#"{"prompt_tokens":9,"prompt_cache_hit_tokens":4,"reasoning_tokens":2,"completion_tokens":3}"#);
        let expected =
            Usage { input_tokens: 9, output_tokens: 3, cached_tokens: 4, reasoning_tokens: 2, ..Usage::default() };
        assert_eq!(usage, Some(expected));
        let heard = check(r#"{"type":"duration","seconds":12.4}"#);
        assert_eq!(heard, Some(Usage { audio_seconds: 13, ..Usage::default() }));
        assert_eq!(check(r#"{"seconds":12.0}"#).map(|usage| usage.audio_seconds), Some(12));
    }

    #[test]
    fn what_is_missing_or_null_is_zero() {
        assert_eq!(check(r#"{"prompt_tokens":null,"prompt_tokens_details":null}"#), Some(Usage::default()));
        assert_eq!(check("null"), None);
    }

    #[test]
    fn a_tier_has_one_word_whatever_the_vendor_calls_it() {
        for (literal, tier) in [
            ("\"default\"", Tier::Standard),
            ("null", Tier::Standard),
            ("\"flex\"", Tier::Flex),
            ("\"priority\"", Tier::Priority),
            ("\"turbo\"", Tier::Other),
        ] {
            assert_eq!(Tier::read(literal.as_bytes()), tier, "{literal}");
        }
    }
}
