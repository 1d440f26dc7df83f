//! Tokens of answers, where the server says nothing of them, and a second count where it does: by the server's own tokenizer, or one of this process.
//!
//! Nothing is counted while load is sent: the texts are kept and counted when a level is over.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::PathAndQuery;
use providers::{Call, Client, Provider, Special, Timeouts};
use serde_json::{Value, json};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;
use wire::record::Endpoint;
use wire::splice::Pieces;

use crate::result::TokenCheck;
use crate::sample::{Sample, TokenSource};

/// Answers of a target whose tokens are counted although the server said how many: two sources that do not agree are not of the same thing.
pub const COMPARED: usize = 32;

/// Questions to a server's tokenizer at once.
const AT_ONCE: usize = 8;

/// How long a server's tokenizer is asked after one level.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest answer of a tokenizer that is read.
const LONGEST: usize = 64 << 20;

/// What counts tokens of texts.
pub trait Count: Send + Sync {
    /// What a number of it is from.
    fn source(&self) -> TokenSource;
    /// The tokens of each text alone, without what a template or an end puts around it; `None` where it could not be counted.
    fn count(&self, texts: &[&str]) -> Vec<Option<u64>>;
}

/// The words of an answer, as far as they are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// What the first chunk with content said.
    pub first: String,
    /// All of it, where it is to be counted.
    pub text: Option<String>,
    /// It has tool calls, whose tokens are not those of their text.
    pub has_tools: bool,
    /// It ended by itself, with a token that no text shows.
    pub is_ended_by_itself: bool,
}

impl Kept {
    /// Takes a chunk of a chat completion.
    pub(crate) fn push(&mut self, data: &[u8], is_first: bool) {
        if !is_first && self.text.is_none() {
            return;
        }
        let Ok(chunk) = serde_json::from_slice::<Value>(data) else { return };
        let choice = &chunk["choices"][0];
        let delta = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        let mut said = String::new();
        let members = ["reasoning_content", "reasoning", "content", "refusal"].map(|name| &delta[name]);
        for text in members.into_iter().chain([&choice["text"]]).filter_map(Value::as_str) {
            said.push_str(text);
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.has_tools = true;
            for member in ["name", "arguments"] {
                said.push_str(call["function"][member].as_str().unwrap_or_default());
            }
        }
        if is_first {
            self.first.clone_from(&said);
        }
        if let Some(text) = &mut self.text {
            text.push_str(&said);
        }
    }
}

/// Counts the tokens of a target's answers that nobody counted, and those of some whose server did; what its two sources come to.
pub(crate) fn settle(counters: &[Arc<dyn Count>], samples: &mut [&mut Sample], texts: &[Kept]) -> Vec<TokenCheck> {
    let Some(first) = counters.first() else { return Vec::new() };
    let kept_of = |sample: &Sample| sample.kept.and_then(|idx| texts.get(idx));
    let whole: Vec<usize> =
        (0..samples.len()).filter(|idx| kept_of(samples[*idx]).is_some_and(|kept| kept.text.is_some())).collect();
    let said: Vec<&str> = whole.iter().filter_map(|idx| kept_of(samples[*idx])?.text.as_deref()).collect();
    let counts: Vec<Vec<Option<u64>>> = counters.iter().map(|counter| counter.count(&said)).collect();
    let mut checks = Vec::new();
    let is_counted = |sample: &Sample| sample.output.is_some_and(|(_, source)| source != TokenSource::Chunks);
    // The server's own numbers against each tokenizer; where it has none, the first tokenizer against the second.
    for (counter, other) in counters.iter().zip(&counts) {
        let pairs = whole.iter().zip(other).filter_map(|(idx, other)| {
            let (sample, kept) = (&*samples[*idx], kept_of(samples[*idx])?);
            let used = sample.output.filter(|_| is_counted(sample) && !kept.has_tools)?;
            Some((used, (*other)?, kept.is_ended_by_itself))
        });
        checks.extend(check(pairs, counter.source()));
    }
    if let ([_, second, ..], [own, other, ..]) = (counters, &*counts) {
        let pairs = whole.iter().zip(own).zip(other).filter_map(|((idx, own), other)| {
            Some((((*own).filter(|_| !is_counted(samples[*idx]))?, first.source()), (*other)?, false))
        });
        checks.extend(check(pairs, second.source()));
    }
    for (place, idx) in whole.iter().enumerate() {
        if is_counted(samples[*idx]) {
            continue;
        }
        let found = counters.iter().zip(&counts).find_map(|(counter, of)| Some((of[place]?, counter.source())));
        samples[*idx].output = found.or(samples[*idx].output);
    }
    first_chunks(first.as_ref(), samples, texts);
    checks
}

/// Tokens of first chunks, where chunks are of several tokens and usage does not stand on them.
fn first_chunks(counter: &dyn Count, samples: &mut [&mut Sample], texts: &[Kept]) {
    let wanted = |sample: &Sample| {
        let (n, source) = sample.output?;
        let is_merged = n > sample.n_chunks + sample.n_chunks / 20 + 1;
        let first = &texts.get(sample.kept?)?.first;
        (is_merged && source != TokenSource::ChunkUsage && source != TokenSource::Chunks).then_some(first.as_str())
    };
    let mut distinct: Vec<&str> = samples.iter().filter_map(|sample| wanted(sample)).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let counts = counter.count(&distinct);
    let counts: HashMap<&str, u64> = distinct.iter().zip(counts).filter_map(|(text, n)| Some((*text, n?))).collect();
    for sample in samples {
        if let Some(n) = wanted(sample).and_then(|first| counts.get(first)) {
            sample.first_chunk_tokens = (*n).max(1);
        }
    }
}

/// Two counts of the same answers: `((used, source), other, ended by itself)`.
fn check(pairs: impl Iterator<Item = ((u64, TokenSource), u64, bool)>, other: TokenSource) -> Option<TokenCheck> {
    let (mut n_answers, mut n_used, mut n_other, mut n_ends, mut used) = (0_u64, 0_u64, 0_u64, 0_u64, None);
    for ((tokens, source), others, is_ended) in pairs {
        used = used.or(Some(source));
        (n_answers, n_used, n_other) = (n_answers + 1, n_used + tokens, n_other + others);
        n_ends += u64::from(is_ended);
    }
    // A server may count the token that ends an answer; its text has none.
    let beyond = n_other.saturating_sub(n_used).max(n_used.saturating_sub(n_other + n_ends));
    Some(TokenCheck {
        used: used?.as_str().to_owned(),
        other: other.as_str().to_owned(),
        n_answers,
        n_used,
        n_other,
        apart: beyond as f64 / (n_used as f64).max(1.0),
    })
}

/// A way in which servers take a text to their tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// llama.cpp.
    LlamaCpp,
    /// vLLM and SGLang.
    Vllm,
    /// llama-cpp-python.
    LlamaCppPython,
}

impl Form {
    const ALL: [Form; 3] = [Form::LlamaCpp, Form::Vllm, Form::LlamaCppPython];

    const fn path(self) -> &'static str {
        match self {
            Form::LlamaCpp | Form::Vllm => "/tokenize",
            Form::LlamaCppPython => "/extras/tokenize",
        }
    }

    fn body(self, model: &str, text: &str) -> Value {
        match self {
            Form::LlamaCpp => json!({ "content": text, "add_special": false }),
            Form::Vllm => json!({ "model": model, "prompt": text, "add_special_tokens": false }),
            Form::LlamaCppPython => json!({ "model": model, "input": text }),
        }
    }
}

/// The tokenizer of a server.
#[derive(Clone)]
pub struct OfServer {
    /// The server, without the path that its endpoints are below.
    root: Arc<Provider>,
    model: String,
    form: Form,
    /// Tokens that it puts before every text.
    n_before: u64,
}

impl OfServer {
    /// Asks the server whether it has one that is known here. `root` is the server without the path that its endpoints are below.
    #[must_use]
    pub fn find(root: &Arc<Provider>, model: &str) -> Option<OfServer> {
        Form::ALL.into_iter().find_map(|form| {
            let asked = OfServer { root: Arc::clone(root), model: model.to_owned(), form, n_before: 0 };
            // Twice the text is twice the tokens, but for what stands before: a word that no tokenizer joins with itself.
            let counts = asked.count(&["a\n", "a\na\n"]);
            let (one, two) = (counts[0]?, counts[1]?);
            let n_before = (2 * one).checked_sub(two)?;
            (one > 0 && two > one && n_before <= 2).then_some(OfServer { n_before, ..asked })
        })
    }

    async fn one(&self, client: &Client, text: &str) -> Option<u64> {
        let patience = Duration::from_secs(10);
        let timeouts = Timeouts {
            connect: patience,
            first_token: patience,
            inter_token: patience,
            total: patience,
            answer: Some(patience),
        };
        let call = Call {
            endpoint: Endpoint::ChatCompletions,
            body: Pieces::from(Bytes::from(self.form.body(&self.model, text).to_string())),
            streamed: false,
            request_id: None,
            hops: 0,
            timeouts,
            sent: None,
            pause: Duration::ZERO,
            special: Some(Box::new(Special {
                below: Some(PathAndQuery::from_static(self.form.path())),
                ..Special::default()
            })),
        };
        let reply = client.call(&self.root, call).await.ok()?;
        let is_good = reply.status.is_success();
        let body = reply.body.collect(LONGEST).await.ok().filter(|_| is_good)?;
        let found: Value = serde_json::from_slice(&body).ok()?;
        let n = found["count"].as_u64().or_else(|| Some(found["tokens"].as_array()?.len() as u64))?;
        Some(n.saturating_sub(self.n_before))
    }
}

impl Count for OfServer {
    fn source(&self) -> TokenSource {
        TokenSource::Tokenize
    }

    fn count(&self, texts: &[&str]) -> Vec<Option<u64>> {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return vec![None; texts.len()];
        };
        let until = Instant::now() + PATIENCE;
        let shared = Rc::new(Shared {
            asked: self.clone(),
            client: Client::new(),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            next: Cell::new(0),
            counts: RefCell::new(vec![None; texts.len()]),
        });
        let tasks = TaskTracker::new();
        LocalSet::new().block_on(&runtime, async {
            for _ in 0..AT_ONCE.min(texts.len()) {
                let shared = Rc::clone(&shared);
                tasks.spawn_local(async move { shared.work(until).await });
            }
            tasks.close();
            tasks.wait().await;
        });
        shared.counts.take()
    }
}

/// Texts on their way to a server's tokenizer.
struct Shared {
    asked: OfServer,
    client: Client,
    texts: Vec<String>,
    next: Cell<usize>,
    counts: RefCell<Vec<Option<u64>>>,
}

impl Shared {
    /// Takes one text after another until none is left, or time is up.
    async fn work(&self, until: Instant) {
        while let Some(text) = self.texts.get(self.next.get()).filter(|_| Instant::now() < until) {
            let place = self.next.get();
            self.next.set(place + 1);
            let first = self.asked.one(&self.client, text).await;
            // A connection that the server closed between two questions is no answer of its tokenizer.
            let count = match first {
                None => self.asked.one(&self.client, text).await,
                found => found,
            };
            self.counts.borrow_mut()[place] = count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Outcome;

    /// A token for each word.
    struct Words;

    impl Count for Words {
        fn source(&self) -> TokenSource {
            TokenSource::Tokenizer
        }

        fn count(&self, texts: &[&str]) -> Vec<Option<u64>> {
            texts.iter().map(|text| Some(text.split_whitespace().count() as u64)).collect()
        }
    }

    fn kept(chunks: &[&str], finish: Option<&str>) -> Kept {
        let mut kept =
            Kept { text: Some(String::new()), is_ended_by_itself: finish == Some("stop"), ..Kept::default() };
        for (idx, text) in chunks.iter().enumerate() {
            let chunk = json!({ "choices": [{ "delta": { "content": text } }] }).to_string();
            kept.push(chunk.as_bytes(), idx == 0);
        }
        kept
    }

    fn check_settled(output: (u64, TokenSource), kept: Kept, expected: (u64, TokenSource, u64), apart: Option<f64>) {
        let mut sample = Sample::begun(0, 0, (Duration::ZERO, Duration::ZERO));
        (sample.outcome, sample.output, sample.n_chunks, sample.kept) = (Outcome::Good, Some(output), 2, Some(0));
        let checks = settle(&[Arc::new(Words)], &mut [&mut sample], &[kept]);
        let (n, source) = sample.output.unwrap();
        assert_eq!((n, source, sample.first_chunk_tokens), expected);
        assert_eq!(checks.first().map(|check| check.apart), apart);
    }

    #[test]
    fn chunks_of_several_tokens_are_counted_by_their_text_where_the_server_says_nothing() {
        let chunks = ["a b c ", "d e f g"];
        check_settled((2, TokenSource::Chunks), kept(&chunks, None), (7, TokenSource::Tokenizer, 3), None);
        // The server's own number stands; the first chunk's is not in it.
        check_settled((7, TokenSource::Usage), kept(&chunks, None), (7, TokenSource::Usage, 3), Some(0.0));
        check_settled((14, TokenSource::Usage), kept(&chunks, None), (14, TokenSource::Usage, 3), Some(0.5));
    }

    #[test]
    fn the_token_that_ends_an_answer_is_no_disagreement() {
        check_settled((3, TokenSource::Usage), kept(&["a", " b"], Some("stop")), (3, TokenSource::Usage, 1), Some(0.0));
        check_settled(
            (3, TokenSource::Usage),
            kept(&["a", " b"], Some("length")),
            (3, TokenSource::Usage, 1),
            Some(1.0 / 3.0),
        );
    }

    #[test]
    fn all_that_a_model_says_is_counted() {
        let mut kept = Kept { text: Some(String::new()), ..Kept::default() };
        for (idx, delta) in [
            json!({ "reasoning_content": "hm " }),
            json!({ "content": "yes" }),
            json!({ "tool_calls": [{ "function": { "name": "f", "arguments": "{}" } }] }),
        ]
        .into_iter()
        .enumerate()
        {
            kept.push(json!({ "choices": [{ "delta": delta }] }).to_string().as_bytes(), idx == 0);
        }
        assert_eq!((kept.first.as_str(), kept.text.as_deref(), kept.has_tools), ("hm ", Some("hm yesf{}"), true));
    }
}
