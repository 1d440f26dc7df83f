//! Tokens as Anthropic counts them: what was read from or written to the cache is not part of `input_tokens`.

use std::ops::Range;

use crate::scan::{self, Kind};
use crate::usage::{Tier, Usage};

/// The `usage` of an answer or of one event. What it did not say is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// `input_tokens`: those of the prompt that the cache had no part in.
    pub input: Option<u64>,
    /// `cache_read_input_tokens`
    pub cache_read: Option<u64>,
    /// `cache_creation_input_tokens`
    pub cache_write: Option<u64>,
    /// `cache_creation.ephemeral_1h_input_tokens`, which are part of `cache_write`.
    pub cache_write_1h: Option<u64>,
    /// `server_tool_use.web_search_requests`
    pub web_searches: Option<u64>,
    /// `service_tier`
    pub tier: Option<Tier>,
    /// `output_tokens`
    pub output: Option<u64>,
    /// `output_tokens_details.thinking_tokens`, which are part of `output`.
    pub thinking: Option<u64>,
}

impl Tokens {
    /// Reads the `usage` object at `object` in `body`; `None` when it is not an object or not JSON.
    pub fn read(body: &[u8], object: Range<usize>) -> Option<Tokens> {
        let mut tokens = Tokens::default();
        scan::each_member(body, object, |member| {
            let number = scan::unsigned(&body[member.value.clone()]);
            match member.key.as_ref() {
                "input_tokens" => tokens.input = number,
                "output_tokens" => tokens.output = number,
                "cache_read_input_tokens" => tokens.cache_read = number,
                "cache_creation_input_tokens" => tokens.cache_write = number,
                "output_tokens_details" if member.kind == Kind::Object => {
                    tokens.thinking = nested(body, member.value, "thinking_tokens")?;
                }
                "cache_creation" if member.kind == Kind::Object => {
                    tokens.cache_write_1h = nested(body, member.value, "ephemeral_1h_input_tokens")?;
                }
                "server_tool_use" if member.kind == Kind::Object => {
                    tokens.web_searches = nested(body, member.value, "web_search_requests")?;
                }
                "service_tier" => tokens.tier = Some(Tier::read(&body[member.value])),
                _ => {}
            }
            Ok(())
        })
        .ok()?;
        Some(tokens)
    }

    /// Takes what a later event of the same stream says. Its numbers are totals: they take the place of earlier ones.
    pub fn update(&mut self, later: Tokens) {
        let Tokens { input, cache_read, cache_write, cache_write_1h, web_searches, tier, output, thinking } = later;
        self.cache_write_1h = cache_write_1h.or(self.cache_write_1h);
        self.web_searches = web_searches.or(self.web_searches);
        self.tier = tier.or(self.tier);
        self.input = input.or(self.input);
        self.cache_read = cache_read.or(self.cache_read);
        self.cache_write = cache_write.or(self.cache_write);
        self.output = output.or(self.output);
        self.thinking = thinking.or(self.thinking);
    }

    /// All tokens of the prompt.
    pub fn prompt(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write].into_iter().flatten().fold(0, u64::saturating_add)
    }

    /// The same in Crossfade's own count, in which the whole prompt is the input.
    pub fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.prompt(),
            output_tokens: self.output.unwrap_or(0),
            cached_tokens: self.cache_read.unwrap_or(0),
            reasoning_tokens: self.thinking.unwrap_or(0),
            cache_write_tokens: self.cache_write.unwrap_or(0),
            cache_write_1h_tokens: self.cache_write_1h.unwrap_or(0),
            web_searches: self.web_searches.unwrap_or(0),
            tier: self.tier.unwrap_or_default(),
            ..Usage::default()
        }
    }
}

fn nested(body: &[u8], object: Range<usize>, key: &str) -> Result<Option<u64>, scan::ScanError> {
    let mut found = None;
    scan::each_member(body, object, |member| {
        if member.key == key {
            found = scan::unsigned(&body[member.value]);
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<Tokens> {
        Tokens::read(text.as_bytes(), 0..text.len())
    }

    #[test]
    fn the_whole_prompt_is_the_input() {
        let tokens = check(
            r#"{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":7,
                "cache_creation":{"ephemeral_5m_input_tokens":150,"ephemeral_1h_input_tokens":50},
                "output_tokens_details":{"thinking_tokens":5},"service_tier":"standard"}"#,
        );
        let expected = Usage {
            input_tokens: 3210,
            output_tokens: 7,
            cached_tokens: 3000,
            reasoning_tokens: 5,
            cache_write_tokens: 200,
            cache_write_1h_tokens: 50,
            ..Usage::default()
        };
        assert_eq!(tokens.unwrap().usage(), expected);
        assert_eq!(check("null"), None);
    }

    #[test]
    fn what_a_later_event_leaves_out_stays() {
        let mut tokens = check(r#"{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":1}"#).unwrap();
        tokens.update(check(r#"{"output_tokens":9,"input_tokens":null}"#).unwrap());
        assert_eq!((tokens.input, tokens.cache_read, tokens.output), (Some(10), Some(4), Some(9)));
    }
}
