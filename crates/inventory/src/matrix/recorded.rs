//! What recorded requests use, in the matrix's words.

use serde::{Deserialize, Serialize};
use wire::record::Endpoint;

use super::cell::Through;
use super::need::words_of;
use super::used::Used;
use crate::scan::Flags;
use crate::traffic::asks::Asks;

/// The record that a matrix was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Requests on record.
    pub requests: u64,
    /// Of these, answered by nobody: refused, or from a cache. They use nothing of a vendor.
    pub unanswered: u64,
    /// Of these, whose body was read. What only a body says is counted of them alone.
    pub bodies_read: u64,
    /// Whether some of the answers were made up.
    pub simulated: bool,
    /// The first and the last day, `YYYY-MM-DD`; `None` without a request.
    pub days: Option<(String, String)>,
}

impl Recorded {
    /// What was read, in a sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let Recorded { requests, unanswered, bodies_read, .. } = self;
        let Some((first, last)) = &self.days else { return "Traffic: no request is on record.".to_owned() };
        let days = if first == last { format!("on {first}") } else { format!("from {first} to {last}") };
        let mut text = format!("Traffic: {requests} requests on record {days}.");
        if *unanswered > 0 {
            text += &format!(" {unanswered} of them were answered by nobody and use nothing of a vendor.");
        }
        if bodies_read < requests {
            text += &format!(" What only a body says is counted of the {bodies_read} bodies that were read.");
        }
        if self.simulated {
            text += " Some of the answers were made up by a simulated provider.";
        }
        text
    }
}

/// In which dialect a request came and what it uses.
pub(crate) fn words(endpoint: &str, streamed: bool, asks: Option<&Asks>) -> (Through, Vec<&'static str>) {
    let Some(endpoint) = Endpoint::ALL.iter().copied().find(|one| one.as_str() == endpoint) else {
        return (Through::Chat, Vec::new());
    };
    let through = match endpoint {
        Endpoint::Messages => Through::Messages,
        Endpoint::Responses | Endpoint::Compaction => Through::Responses,
        _ => Through::Chat,
    };
    let Some(word) = word(endpoint) else { return (through, asking(through, endpoint, streamed, asks)) };
    (through, vec![word])
}

/// The word of an endpoint that is one thing by itself.
const fn word(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::ChatCompletions
        | Endpoint::Messages
        | Endpoint::Responses
        | Endpoint::Completions
        | Endpoint::Embeddings => None,
        Endpoint::Compaction => Some("responses"),
        Endpoint::StoredCompletions | Endpoint::StoredResponses | Endpoint::Conversations => Some("responses_state"),
        Endpoint::CountTokens | Endpoint::InputTokens => Some("tokens"),
        Endpoint::Moderations => Some("moderation"),
        Endpoint::Rerank => Some("rerank"),
        Endpoint::ImageGenerations | Endpoint::ImageEdits | Endpoint::ImageVariations => Some("images"),
        Endpoint::Speech => Some("speech"),
        Endpoint::Transcriptions | Endpoint::Translations => Some("transcription"),
        Endpoint::Files | Endpoint::Uploads | Endpoint::Containers => Some("files"),
        Endpoint::Batches | Endpoint::MessageBatches => Some("batches"),
        Endpoint::VectorStores => Some("vector_store"),
        Endpoint::FineTuning => Some("fine_tuning"),
        Endpoint::Evals => Some("evals"),
        Endpoint::Assistants | Endpoint::Threads => Some("assistants"),
        Endpoint::Videos => Some("video"),
    }
}

/// What a request for text or vectors uses: as a place in code that gives the same members would.
fn asking(through: Through, endpoint: Endpoint, streamed: bool, asks: Option<&Asks>) -> Vec<&'static str> {
    let has = |name: &str| asks.is_some_and(|asks| asks.capabilities.contains(&name));
    let operation = match endpoint {
        Endpoint::Responses => "responses",
        Endpoint::Completions => "completions",
        Endpoint::Embeddings => "embeddings",
        _ => "chat",
    };
    let mut parameters = asks.map(|asks| asks.given.clone()).unwrap_or_default();
    if has("audio") {
        parameters.push("audio".to_owned());
    }
    let used = Used {
        operation: operation.to_owned(),
        vendor: if through == Through::Messages { "anthropic" } else { "openai" }.to_owned(),
        flags: Flags {
            streaming: streamed,
            tools: has("tools"),
            schema: has("schema"),
            json_mode: has("json_mode"),
            vision: has("vision"),
            logprobs: has("logprobs"),
        },
        parameters,
        ..Used::default()
    };
    let mut words = words_of(&used);
    for (is_asked, word) in [
        (has("web_search"), "web_search"),
        (has("file_search"), "vector_store"),
        (has("kept_by_vendor") && operation != "chat", "responses_state"),
    ] {
        if is_asked && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::need;
    use crate::traffic::asks;

    #[track_caller]
    fn check(endpoint: &str, body: &str, expected: &[&str]) {
        let asks = asks::read(endpoint, body.as_bytes());
        assert_eq!(words(endpoint, false, asks.as_ref()).1, expected, "{endpoint} {body}");
    }

    #[test]
    fn a_request_uses_what_code_that_gives_the_same_members_uses() {
        check("chat_completions", r#"{"model":"m","messages":[],"n":1,"stop":null}"#, &["chat"]);
        check("chat_completions", r#"{"tools":[{}],"seed":7,"n":2}"#, &["chat", "tools", "seed", "choices"]);
        check("chat_completions", r#"{"messages":[{"content":[{"type":"input_audio"}]}]}"#, &["chat", "audio_in_chat"]);
        check("responses", r#"{"input":"a","store":false}"#, &["responses"]);
        check("responses", r#"{"previous_response_id":"r"}"#, &["responses", "responses_state"]);
        check("responses", r#"{"tools":[{"type":"file_search"}]}"#, &["responses", "tools", "vector_store"]);
        check("embeddings", r#"{"input":"a","dimensions":8}"#, &["embeddings", "embeddings_dimensions"]);
        check("messages", r#"{"max_tokens":8}"#, &["messages"]);
        check("speech", r#"{"input":"a"}"#, &["speech"]);
    }

    #[test]
    fn every_endpoint_has_a_word_whether_or_not_its_body_was_read() {
        for endpoint in Endpoint::ALL {
            let (_, words) = words(endpoint.as_str(), false, None);
            assert_eq!(words.len(), 1, "{endpoint:?}");
            assert!(words.iter().all(|word| need::named(word).is_some()), "{endpoint:?}: {words:?}");
        }
    }

    #[test]
    fn what_was_read_is_said_in_a_sentence() {
        let day = |text: &str| text.to_owned();
        let days = Some((day("2026-11-01"), day("2026-11-26")));
        let of = Recorded { requests: 9, unanswered: 2, bodies_read: 5, simulated: true, days };
        assert_eq!(
            of.words(),
            "Traffic: 9 requests on record from 2026-11-01 to 2026-11-26. 2 of them were answered by nobody and use nothing of a vendor. What \
             only a body says is counted of the 5 bodies that were read. Some of the answers were made up by a simulated provider."
        );
        let none = Recorded { requests: 0, unanswered: 0, bodies_read: 0, simulated: false, days: None };
        assert_eq!(none.words(), "Traffic: no request is on record.");
    }
}
