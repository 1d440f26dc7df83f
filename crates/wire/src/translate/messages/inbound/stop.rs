//! Why an answer ended and what it used, from chat to Messages.

use crate::messages::Tokens;
use crate::translate::messages::json::Json;
use crate::translate::messages::view::View;

/// Why an answer ended, in the words of Messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    reason: &'static str,
    /// The sequence it ended at, escaped.
    sequence: Option<Vec<u8>>,
}

impl Stop {
    /// From `finish_reason`; `None` when the server says that it gave up. `matched` is what vLLM and SGLang say of the sequence that ended the answer; other servers do
    /// not tell a sequence from an end of their own. An answer with calls that just "stops" is how a call that was forced
    /// ends.
    pub(super) fn of(finish: Option<&str>, matched: Option<&[u8]>, calls: bool, refused: bool) -> Option<Stop> {
        let reason = match finish {
            Some("error" | "abort" | "cancelled") => return None,
            Some("length") => "max_tokens",
            Some("content_filter") => "refusal",
            Some("stop") if !calls && !refused && matched.is_some() => {
                return Some(Stop { reason: "stop_sequence", sequence: matched.map(<[u8]>::to_vec) });
            }
            _ => return Some(Stop::unsaid(calls, refused)),
        };
        Some(Stop { reason, sequence: None })
    }

    /// Of an answer whose server said that it is over and not why.
    pub(super) fn unsaid(calls: bool, refused: bool) -> Stop {
        let reason = match (calls, refused) {
            (true, _) => "tool_use",
            (_, true) => "refusal",
            _ => "end_turn",
        };
        Stop { reason, sequence: None }
    }

    /// The answer is shorter than the model meant it to be.
    pub(super) fn is_cut(&self) -> bool {
        self.reason == "max_tokens" || self.reason == "refusal"
    }

    /// Writes `stop_reason`, `stop_sequence`, and the two beside them of which a chat server says nothing.
    pub(super) fn write(&self, json: &mut Json) {
        json.member_text("stop_reason", self.reason);
        match &self.sequence {
            Some(sequence) => json.member_escaped("stop_sequence", &[sequence]),
            None => json.member("stop_sequence", b"null"),
        }
        json.member("stop_details", b"null");
        json.member("container", b"null");
    }
}

/// The `usage` of a chat answer as Messages counts it.
pub(super) fn chat_tokens(usage: View<'_>) -> Tokens {
    let number = |name: &str| usage.get(name).and_then(View::unsigned);
    let detail = |name: &str, of: &str| usage.get(name)?.get(of)?.unsigned();
    let cache_read = detail("prompt_tokens_details", "cached_tokens");
    let cache_write = detail("prompt_tokens_details", "cache_write_tokens");
    let from_cache = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
    Tokens {
        input: number("prompt_tokens").map(|prompt| prompt.saturating_sub(from_cache)),
        cache_read,
        cache_write,
        output: number("completion_tokens"),
        thinking: detail("completion_tokens_details", "reasoning_tokens"),
        ..Tokens::default()
    }
}
