//! One request of a run, as it was seen.

use std::time::Duration;

use wire::failure::FailureKind;

/// How a request ended: each its own line in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A whole answer.
    Good,
    /// No connection.
    Connect,
    /// No answer, or no more of it, in time.
    Timeout,
    /// The server asked to slow down (429).
    RateLimited,
    /// Another status of 400 to 499.
    Http4xx,
    /// A status of 500 and above, or a redirect.
    Http5xx,
    /// An error instead of an answer, or an error event in the stream.
    ErrorEvent,
    /// The stream or the connection ended before the answer did: no finish reason.
    Truncated,
    /// A whole answer without content.
    Empty,
    /// A whole answer that is not as long as was asked for.
    WrongLength,
    /// What came is no answer of the dialect.
    Malformed,
    /// The provider's client refused to send it.
    NotSent,
    /// Still under way when the run was over.
    Unfinished,
}

impl Outcome {
    /// Every way that is not good.
    pub const BAD: [Outcome; 12] = [
        Outcome::Connect,
        Outcome::Timeout,
        Outcome::RateLimited,
        Outcome::Http4xx,
        Outcome::Http5xx,
        Outcome::ErrorEvent,
        Outcome::Truncated,
        Outcome::Empty,
        Outcome::WrongLength,
        Outcome::Malformed,
        Outcome::NotSent,
        Outcome::Unfinished,
    ];

    /// The word in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Good => "good",
            Outcome::Connect => "connect",
            Outcome::Timeout => "timeout",
            Outcome::RateLimited => "http_429",
            Outcome::Http4xx => "http_4xx",
            Outcome::Http5xx => "http_5xx",
            Outcome::ErrorEvent => "error_event",
            Outcome::Truncated => "truncated",
            Outcome::Empty => "empty",
            Outcome::WrongLength => "wrong_length",
            Outcome::Malformed => "malformed",
            Outcome::NotSent => "not_sent",
            Outcome::Unfinished => "unfinished",
        }
    }

    /// What a failed call counts as.
    #[must_use]
    pub const fn of(kind: FailureKind) -> Outcome {
        match kind {
            FailureKind::Connect | FailureKind::Dns | FailureKind::Tls | FailureKind::TimeoutConnect => {
                Outcome::Connect
            }
            FailureKind::TimeoutFirstToken | FailureKind::TimeoutInterToken | FailureKind::TimeoutTotal => {
                Outcome::Timeout
            }
            FailureKind::Disconnected => Outcome::Truncated,
            FailureKind::RateLimited | FailureKind::QuotaExhausted => Outcome::RateLimited,
            FailureKind::HttpClientError
            | FailureKind::Authentication
            | FailureKind::InvalidRequest
            | FailureKind::NotFound
            | FailureKind::TooLarge => Outcome::Http4xx,
            FailureKind::HttpServerError => Outcome::Http5xx,
            FailureKind::ErrorInBody | FailureKind::ErrorInStream => Outcome::ErrorEvent,
            FailureKind::Malformed => Outcome::Malformed,
            _ => Outcome::NotSent,
        }
    }

    /// Whether the answer might still have come: the request took longer than was waited, so that it is later than any that came.
    #[must_use]
    pub const fn is_later(self) -> bool {
        matches!(self, Outcome::Timeout | Outcome::Unfinished)
    }
}

/// Where the number of an answer's tokens is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenSource {
    /// The usage of the whole answer.
    Usage,
    /// Usage that stands on its chunks.
    ChunkUsage,
    /// The server's own tokenizer, over the answer's text.
    Tokenize,
    /// A tokenizer of this process, over the answer's text.
    Tokenizer,
    /// One for each chunk with content.
    Chunks,
}

impl TokenSource {
    /// The word in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            TokenSource::Usage => "usage",
            TokenSource::ChunkUsage => "chunk_usage",
            TokenSource::Tokenize => "tokenize",
            TokenSource::Tokenizer => "tokenizer",
            TokenSource::Chunks => "chunks",
        }
    }
}

/// What a server says of its own time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ServerTimes {
    /// Reading the prompt, milliseconds.
    pub prefill_ms: Option<f64>,
    /// Tokens of the prompt that were read for it, those from a cache apart.
    pub prefill_tokens: Option<f64>,
    /// Making the answer, milliseconds.
    pub decode_ms: Option<f64>,
    /// Waiting for its turn, milliseconds.
    pub queue_ms: Option<f64>,
    /// In a gateway on the way, milliseconds.
    pub gateway_ms: Option<f64>,
}

/// What request number so and so is called to the server, in `x-request-id`: a UUID, because some servers (llama-cpp-python 0.3.36) refuse anything else.
#[must_use]
pub fn request_id(number: u64) -> String {
    format!("00000000-0000-4000-{:04x}-{:012x}", number >> 48, number & 0xffff_ffff_ffff)
}

/// One request. Moments are times since the run began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Its number in the run: the server reads it in `x-request-id`.
    pub number: u64,
    /// Which target was asked, by its place in the plan.
    pub target: usize,
    /// Which block of an interleaved run it belongs to.
    pub block: usize,
    /// When it was due.
    pub intended: Duration,
    /// When this process began with it.
    pub started: Duration,
    /// When the connection had taken its last byte.
    pub sent: Option<Duration>,
    /// When the first content was read.
    pub first: Option<Duration>,
    /// When the last content was read.
    pub last: Option<Duration>,
    /// When it was over.
    pub ended: Duration,
    /// The longest time between two chunks with content, where there were two.
    pub longest_gap: Option<Duration>,
    /// Chunks with content.
    pub n_chunks: u64,
    /// Output tokens, and where the number is from.
    pub output: Option<(u64, TokenSource)>,
    /// Tokens of the first chunk, where its usage says; else it is taken for one.
    pub first_chunk_tokens: u64,
    /// Tokens of the prompt as the server counted them, and those of them that came from a cache.
    pub input: Option<(u64, u64)>,
    /// What is kept of its words, by its place among them.
    pub kept: Option<usize>,
    /// What the server says of its own time.
    pub server: ServerTimes,
    /// How it ended.
    pub outcome: Outcome,
}

impl Sample {
    /// A request that was due and began then, with nothing seen yet.
    #[must_use]
    pub fn begun(target: usize, block: usize, (intended, started): (Duration, Duration)) -> Sample {
        Sample {
            number: 0,
            target,
            block,
            intended,
            started,
            sent: None,
            first: None,
            last: None,
            ended: started,
            longest_gap: None,
            n_chunks: 0,
            output: None,
            first_chunk_tokens: 1,
            input: None,
            kept: None,
            server: ServerTimes::default(),
            outcome: Outcome::Unfinished,
        }
    }

    /// Whether a whole answer came.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.outcome == Outcome::Good
    }

    /// From the intended start to the first content.
    #[must_use]
    pub fn ttft_intended(&self) -> Option<Duration> {
        Some(self.first?.saturating_sub(self.intended))
    }

    /// From the request's last byte to the first content.
    #[must_use]
    pub fn ttft_sent(&self) -> Option<Duration> {
        Some(self.first?.saturating_sub(self.sent?))
    }

    /// From the intended start to the last content.
    #[must_use]
    pub fn e2e_intended(&self) -> Option<Duration> {
        Some(self.last?.saturating_sub(self.intended))
    }

    /// From the request's last byte to the last content.
    #[must_use]
    pub fn e2e_sent(&self) -> Option<Duration> {
        Some(self.last?.saturating_sub(self.sent?))
    }

    /// For an output token after the first chunk, in milliseconds.
    #[must_use]
    pub fn tpot_ms(&self) -> Option<f64> {
        let (tokens, _) = self.output?;
        let after = tokens.checked_sub(self.first_chunk_tokens).filter(|n| *n > 0 && self.n_chunks > 1)?;
        Some(crate::clock::millis(self.last?.saturating_sub(self.first?)) / after as f64)
    }

    /// It as a line of a file: moments in milliseconds since the level began, `null` for what was not seen.
    #[must_use]
    pub fn line(&self, target: &str, load: &str) -> serde_json::Value {
        let ms = crate::clock::millis;
        serde_json::json!({
            "id": request_id(self.number),
            "target": target,
            "load": load,
            "intended_ms": ms(self.intended),
            "started_ms": ms(self.started),
            "sent_ms": self.sent.map(ms),
            "first_ms": self.first.map(ms),
            "last_ms": self.last.map(ms),
            "longest_gap_ms": self.longest_gap.map(ms),
            "chunks": self.n_chunks,
            "output_tokens": self.output.map(|(n, _)| n),
            "tokens_from": self.output.map(|(_, source)| source.as_str()),
            "input_tokens": self.input.map(|(n, _)| n),
            "cached_tokens": self.input.map(|(_, cached)| cached),
            "outcome": self.outcome.as_str(),
        })
    }

    /// How much later than intended this process began with it.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.started.saturating_sub(self.intended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tpot_leaves_the_first_chunk_out_and_one_chunk_has_none() {
        let ms = Duration::from_millis;
        let mut sample = Sample::begun(0, 0, (ms(0), ms(1)));
        sample.sent = Some(ms(2));
        (sample.first, sample.last) = (Some(ms(52)), Some(ms(152)));
        (sample.n_chunks, sample.output) = (11, Some((11, TokenSource::Usage)));
        assert_eq!(sample.tpot_ms(), Some(10.0));
        // Two tokens came with the first chunk.
        sample.first_chunk_tokens = 6;
        assert_eq!(sample.tpot_ms(), Some(20.0));
        assert_eq!(
            (sample.ttft_intended(), sample.ttft_sent(), sample.e2e_sent()),
            (Some(ms(52)), Some(ms(50)), Some(ms(150)))
        );
        sample.n_chunks = 1;
        assert_eq!(sample.tpot_ms(), None);
    }

    #[test]
    fn every_way_to_fail_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = Outcome::BAD.iter().map(|outcome| outcome.as_str()).collect();
        assert_eq!(words.len(), Outcome::BAD.len());
        assert!(FailureKind::ALL.iter().all(|kind| Outcome::of(*kind) != Outcome::Good));
    }
}
