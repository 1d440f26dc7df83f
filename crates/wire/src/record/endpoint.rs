//! What can be asked for: the paths of the dialects, and what each of them is to Crossfade.

use serde::{Deserialize, Serialize};

/// How an endpoint is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// By a route, and its exchanges may be evidence for a rollout.
    Evidence,
    /// By the target of a route. Never copied to a candidate: what it does costs, or has effects.
    Route,
    /// By one configured provider: what is asked for is kept there, and no model is named.
    Provider,
}

macro_rules! endpoints {
    ($($(#[$doc:meta])* $endpoint:ident = $name:literal, $path:literal, $service:ident);+ $(;)?) => {
        /// The paths Crossfade answers on. The order is the encoding in the journal: new ones go at the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Endpoint { $($(#[$doc])* $endpoint),+ }

        impl Endpoint {
            /// Every endpoint, in the order of the list.
            pub const ALL: &'static [Endpoint] = &[$(Endpoint::$endpoint),+];

            /// The name in records, config and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Endpoint::$endpoint => $name),+ }
            }

            /// The path below the provider's base URL; for what a provider keeps, the beginning of it.
            pub const fn path(self) -> &'static str {
                match self { $(Endpoint::$endpoint => $path),+ }
            }

            /// How it is served.
            pub const fn service(self) -> Service {
                match self { $(Endpoint::$endpoint => Service::$service),+ }
            }
        }
    };
}

endpoints! {
    /// `POST /v1/chat/completions`.
    ChatCompletions = "chat_completions", "/chat/completions", Evidence;
    /// `POST /v1/embeddings`.
    Embeddings = "embeddings", "/embeddings", Evidence;
    /// `POST /v1/completions`, the endpoint before chat.
    Completions = "completions", "/completions", Evidence;
    /// `POST /v1/responses`.
    Responses = "responses", "/responses", Evidence;
    /// `POST /v1/messages` of Anthropic.
    Messages = "messages", "/messages", Evidence;
    /// `POST /v1/messages/count_tokens` of Anthropic.
    CountTokens = "count_tokens", "/messages/count_tokens", Route;
    /// `POST /v1/responses/input_tokens`.
    InputTokens = "input_tokens", "/responses/input_tokens", Route;
    /// `POST /v1/responses/compact`.
    Compaction = "compaction", "/responses/compact", Route;
    /// `POST /v1/moderations`.
    Moderations = "moderations", "/moderations", Route;
    /// `POST /v1/rerank`, as Cohere, Jina, vLLM and llama.cpp have it.
    Rerank = "rerank", "/rerank", Route;
    /// `POST /v1/images/generations`.
    ImageGenerations = "image_generations", "/images/generations", Route;
    /// `POST /v1/images/edits`.
    ImageEdits = "image_edits", "/images/edits", Route;
    /// `POST /v1/images/variations`.
    ImageVariations = "image_variations", "/images/variations", Route;
    /// `POST /v1/audio/speech`.
    Speech = "speech", "/audio/speech", Route;
    /// `POST /v1/audio/transcriptions`.
    Transcriptions = "transcriptions", "/audio/transcriptions", Route;
    /// `POST /v1/audio/translations`.
    Translations = "translations", "/audio/translations", Route;
    /// `/v1/files…`.
    Files = "files", "/files", Provider;
    /// `/v1/uploads…`.
    Uploads = "uploads", "/uploads", Provider;
    /// `/v1/batches…`.
    Batches = "batches", "/batches", Provider;
    /// `/v1/vector_stores…`.
    VectorStores = "vector_stores", "/vector_stores", Provider;
    /// Chat completions that were stored: `GET /v1/chat/completions`, and everything below an id.
    StoredCompletions = "stored_completions", "/chat/completions", Provider;
    /// Responses that were stored: everything below `/v1/responses/{id}`.
    StoredResponses = "stored_responses", "/responses", Provider;
    /// `/v1/conversations…`.
    Conversations = "conversations", "/conversations", Provider;
    /// `/v1/fine_tuning…`.
    FineTuning = "fine_tuning", "/fine_tuning", Provider;
    /// `/v1/containers…`.
    Containers = "containers", "/containers", Provider;
    /// `/v1/evals…`.
    Evals = "evals", "/evals", Provider;
    /// `/v1/assistants…`.
    Assistants = "assistants", "/assistants", Provider;
    /// `/v1/threads…`.
    Threads = "threads", "/threads", Provider;
    /// `/v1/videos…`.
    Videos = "videos", "/videos", Provider;
    /// `/v1/messages/batches…` of Anthropic.
    MessageBatches = "message_batches", "/messages/batches", Provider;
}

impl Endpoint {
    /// Whether its exchanges may be evidence for a rollout, and be copied to a candidate.
    pub const fn is_evidence(self) -> bool {
        matches!(self.service(), Service::Evidence)
    }

    /// Whether the answer is text that a model writes token by token.
    pub const fn is_generation(self) -> bool {
        matches!(self, Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Responses | Endpoint::Messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_encoding_and_the_first_two_keep_their_places() {
        for (place, endpoint) in Endpoint::ALL.iter().enumerate() {
            assert_eq!(serde_json::to_string(endpoint).unwrap(), format!("\"{}\"", endpoint.as_str()));
            assert_eq!(postcard::to_stdvec(endpoint).unwrap(), [u8::try_from(place).unwrap()]);
        }
        assert_eq!(Endpoint::ALL[..2], [Endpoint::ChatCompletions, Endpoint::Embeddings]);
    }

    #[test]
    fn only_five_endpoints_are_evidence() {
        let evidence: Vec<_> = Endpoint::ALL.iter().filter(|endpoint| endpoint.is_evidence()).collect();
        assert_eq!(evidence.len(), 5);
        assert!(!Endpoint::ImageGenerations.is_evidence());
    }
}
