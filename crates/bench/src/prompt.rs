//! What is asked: made-up texts of a wanted length, requests of a file, or shapes of a trace. Made-up texts are of common short words, each about one token to
//! the usual tokenizers; what the server counted stands in the result.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use stats::random::Random;

use crate::arrivals::lineage::Lineage;
use crate::arrivals::trace::Shape;
use crate::clock::whole;

/// How long something is, in tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lengths {
    /// Always as long.
    Fixed(u64),
    /// Any length between these, each as likely.
    Uniform(u64, u64),
    /// Around a mean with a standard deviation, at least 1.
    Normal(f64, f64),
    /// Around a median, with the sigma of its logarithm.
    LogNormal(f64, f64),
}

impl Lengths {
    /// Reads `256`, `100..500`, `normal:300:50` or `lognormal:300:0.6`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Lengths> {
        if let Some((low, high)) = text.split_once("..") {
            let (low, high) = (low.parse().ok()?, high.parse().ok()?);
            return (low <= high && low > 0).then_some(Lengths::Uniform(low, high));
        }
        let Some((kind, numbers)) = text.split_once(':') else {
            return text.parse().ok().filter(|n| *n > 0).map(Lengths::Fixed);
        };
        let (centre, spread) = numbers.split_once(':')?;
        let (centre, spread): (f64, f64) = (centre.parse().ok()?, spread.parse().ok()?);
        let is_good = centre.is_finite() && centre >= 1.0 && spread.is_finite() && spread >= 0.0;
        match kind {
            "normal" if is_good => Some(Lengths::Normal(centre, spread)),
            "lognormal" if is_good => Some(Lengths::LogNormal(centre, spread)),
            _ => None,
        }
    }

    fn draw(self, random: &mut Random) -> u64 {
        match self {
            Lengths::Fixed(n) => n,
            Lengths::Uniform(low, high) => low + whole(random.uniform() * (high - low + 1) as f64).min(high - low),
            Lengths::Normal(mean, deviation) => whole((mean + deviation * random.normal()).round()).max(1),
            Lengths::LogNormal(median, sigma) => whole((median * (sigma * random.normal()).exp()).round()).max(1),
        }
    }
}

/// Where requests come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Made up.
    Synthetic {
        /// Tokens of a prompt.
        input: Lengths,
        /// Tokens at its beginning that it has in common with others, and how many such beginnings there are; none are shared by all where it is 0.
        prefix: (u64, u64),
    },
    /// Requests as they were written, in turn: at least `messages`.
    Requests(Arc<Vec<Map<String, Value>>>),
}

/// What makes requests: the same seed and number give the same request.
#[derive(Debug, Clone)]
pub struct Maker {
    /// Where they come from.
    pub source: Source,
    /// Tokens of an answer; of a file's requests, those without a limit of their own.
    pub output: Option<Lengths>,
    /// Members that every request gets as they are.
    pub extra: Map<String, Value>,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Ask the server to go on to the wanted length (`ignore_eos`), which vLLM, SGLang and llama.cpp know.
    pub ignore_eos: bool,
    /// Decides lengths and texts.
    pub seed: u64,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Its body as a chat completion.
    pub body: Bytes,
    /// Tokens that its answer must have to be of the right length.
    pub wanted: Option<u64>,
}

impl Maker {
    /// Request number `idx`, for `model`; of a trace, with this shape.
    #[must_use]
    pub fn make(&self, idx: u64, model: &str, shape: Option<&Shape>) -> Made {
        let mut random = Random::new(self.seed ^ idx.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut request, output) = match (&self.source, shape) {
            (Source::Requests(requests), _) if !requests.is_empty() => {
                let place = usize::try_from(idx % requests.len() as u64).unwrap_or(0);
                (requests[place].clone(), self.output.map(|lengths| lengths.draw(&mut random)))
            }
            (_, Some(shape)) => {
                let text = replayed(&shape.lineage, self.seed);
                (asks(&text), Some(shape.output.max(1)))
            }
            (Source::Synthetic { input, prefix: (n_shared, n_distinct) }, None) => {
                let n = input.draw(&mut random);
                let group = random.bits() % (*n_distinct).max(1);
                (
                    asks(&text((group ^ self.seed, *n_shared), (random.bits(), n))),
                    self.output.map(|lengths| lengths.draw(&mut random)),
                )
            }
            (Source::Requests(_), None) => (asks("hello"), self.output.map(|lengths| lengths.draw(&mut random))),
        };
        request.insert("model".to_owned(), Value::from(model));
        request.insert("stream".to_owned(), Value::from(self.stream));
        if self.stream {
            request.insert("stream_options".to_owned(), json!({ "include_usage": true }));
        }
        let has_limit = request.contains_key("max_tokens") || request.contains_key("max_completion_tokens");
        if let Some(output) = output.filter(|_| !has_limit) {
            request.insert("max_tokens".to_owned(), Value::from(output));
        }
        if self.ignore_eos {
            request.insert("ignore_eos".to_owned(), Value::from(true));
        }
        request.extend(self.extra.clone());
        Made {
            body: Bytes::from(Value::Object(request).to_string()),
            wanted: output.filter(|_| self.ignore_eos && !has_limit),
        }
    }
}

fn asks(text: &str) -> Map<String, Value> {
    Map::from_iter([("messages".to_owned(), json!([{ "role": "user", "content": text }]))])
}

/// Common words that the usual tokenizers know as one token each.
const WORDS: [&str; 64] = [
    "the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by", "on", "not", "he",
    "this", "are", "or", "his", "from", "at", "which", "but", "have", "an", "had", "they", "you", "were", "there",
    "one", "all", "we", "her", "she", "who", "will", "more", "no", "if", "out", "so", "said", "what", "up", "its",
    "about", "into", "than", "them", "can", "only", "other", "new", "some", "time", "could", "these", "two", "may",
    "then", "do",
];

/// A text of `n` words that begins with `n_shared` of its group's.
fn text((group, n_shared): (u64, u64), (own, n): (u64, u64)) -> String {
    let words = |seed: u64, n: u64| {
        let mut random = Random::new(seed);
        (0..n).map(move |_| WORDS[random.below(WORDS.len())])
    };
    let n = n.max(1);
    let n_shared = n_shared.min(n);
    words(group, n_shared).chain(words(own, n - n_shared)).collect::<Vec<_>>().join(" ")
}

/// The text of a request of a replay: word by word from where its lineage says.
fn replayed(lineage: &Lineage, seed: u64) -> String {
    let words = |(stream, from, until): (u64, u64, u64)| {
        let mut random = Random::new(Random::new(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)).bits());
        (0..until).map(move |_| WORDS[random.below(WORDS.len())]).skip(usize::try_from(from).unwrap_or(usize::MAX))
    };
    lineage.spans().flat_map(words).collect::<Vec<_>>().join(" ")
}

/// Why a file of requests cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// A line is none.
    #[error("line {0} is no request: an object with `messages`, with a `request` that has them, or with a `prompt`")]
    Line(usize),
    /// There is none.
    #[error("there are no requests in it")]
    Empty,
}

/// Reads requests from JSON lines: chat requests with `messages`, cases with a `request`, or a `prompt` alone.
///
/// # Errors
/// When a line is none of these, or there is none.
pub fn requests(text: &str) -> Result<Vec<Map<String, Value>>, FileError> {
    let mut found = Vec::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Ok(Value::Object(mut object)) = serde_json::from_str(line) else { return Err(FileError::Line(idx + 1)) };
        if let Some(Value::Object(request)) = object.get("request") {
            object = request.clone();
        }
        let request = match (object.get("messages"), object.get("prompt")) {
            (Some(Value::Array(messages)), _) if !messages.is_empty() => object,
            (None, Some(Value::String(prompt))) => asks(prompt),
            _ => return Err(FileError::Line(idx + 1)),
        };
        found.push(request);
    }
    if found.is_empty() { Err(FileError::Empty) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::trace::{dispersion, of_record};
    use proptest::prelude::*;
    use std::time::Duration;

    fn maker(source: Source) -> Maker {
        let output = Some(Lengths::Fixed(16));
        Maker { source, output, extra: Map::new(), stream: true, ignore_eos: true, seed: 7 }
    }

    fn content(made: &Made) -> String {
        let body: Value = serde_json::from_slice(&made.body).unwrap();
        body["messages"][0]["content"].as_str().unwrap().to_owned()
    }

    #[test]
    fn made_up_prompts_are_as_long_as_wanted_and_share_what_they_should() {
        let maker = maker(Source::Synthetic { input: Lengths::Fixed(40), prefix: (30, 2) });
        let texts: Vec<String> = (0..50).map(|idx| content(&maker.make(idx, "m", None))).collect();
        assert!(texts.iter().all(|text| text.split(' ').count() == 40));
        let beginnings: std::collections::BTreeSet<String> =
            texts.iter().map(|text| text.split(' ').take(30).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(beginnings.len(), 2);
        assert_eq!(texts.iter().collect::<std::collections::BTreeSet<_>>().len(), 50);
        assert_eq!(maker.make(3, "m", None), maker.make(3, "m", None));
        assert_eq!(maker.make(3, "m", None).wanted, Some(16));
    }

    fn check_lengths(text: &str, expected: Option<Lengths>) {
        assert_eq!(Lengths::parse(text), expected, "{text}");
    }

    #[test]
    fn lengths_are_read_and_what_is_none_is_not() {
        check_lengths("256", Some(Lengths::Fixed(256)));
        check_lengths("100..500", Some(Lengths::Uniform(100, 500)));
        check_lengths("normal:300:50", Some(Lengths::Normal(300.0, 50.0)));
        check_lengths("lognormal:300:0.6", Some(Lengths::LogNormal(300.0, 0.6)));
        for wrong in ["0", "-3", "5..2", "gauss:1:1", "normal:0:1", "", "lognormal:3"] {
            check_lengths(wrong, None);
        }
    }

    #[test]
    fn requests_of_a_file_are_sent_as_they_are() {
        let lines = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"temperature\":0,\"max_tokens\":3}\n\n{\"prompt\":\"b\"}\n{\"request\":{\"messages\":[{\"role\":\"user\",\"content\":\"c\"}]},\"checks\":[]}";
        let maker = maker(Source::Requests(Arc::new(requests(lines).unwrap())));
        let made: Vec<Made> = (0..4).map(|idx| maker.make(idx, "m", None)).collect();
        assert_eq!(made.iter().map(content).collect::<Vec<_>>(), ["a", "b", "c", "a"]);
        let body: Value = serde_json::from_slice(&made[0].body).unwrap();
        assert_eq!((&body["temperature"], &body["max_tokens"], &body["model"]), (&json!(0), &json!(3), &json!("m")));
        assert_eq!((requests("{}"), requests("\n")), (Err(FileError::Line(1)), Err(FileError::Empty)));
    }

    proptest! {
        #[test]
        fn a_replay_has_the_shape_of_the_record_and_none_of_its_text(
            recorded in prop::collection::vec((0_u64..60_000_000, 1_u64..400, 1_u64..200, 0_u64..300, 0_u64..9), 40..80),
            speed in 1.0_f64..4.0,
        ) {
            let shapes = crate::arrivals::trace::at_speed(of_record(&recorded).unwrap(), speed);
            let maker = maker(Source::Synthetic { input: Lengths::Fixed(1), prefix: (0, 1) });
            let mut sorted = recorded.clone();
            sorted.sort_by_key(|request| request.0);
            let mut shared = (0, 0);
            for (idx, shape) in shapes.iter().enumerate() {
                let made = maker.make(idx as u64, "m", Some(shape));
                let words = content(&made);
                // Every word is one of ours: nothing of what was recorded could be in it.
                prop_assert!(words.split(' ').all(|word| WORDS.contains(&word)));
                prop_assert_eq!(words.split(' ').count() as u64, shape.input);
                prop_assert_eq!(made.wanted, Some(shape.output));
                shared = (shared.0 + shape.shared, shared.1 + shape.input);
            }
            let mut lengths = [Vec::new(), Vec::new()];
            sorted.iter().for_each(|request| { lengths[0].push(request.1); lengths[1].push(request.2); });
            let found = [shapes.iter().map(|shape| shape.input).collect::<Vec<_>>(), shapes.iter().map(|shape| shape.output).collect()];
            for (mut expected, mut found) in lengths.into_iter().zip(found) {
                expected.sort_unstable();
                found.sort_unstable();
                prop_assert_eq!(expected, found);
            }
            let before: (u64, u64) = recorded.iter().fold((0, 0), |sums, request| (sums.0 + request.3.min(request.1), sums.1 + request.1));
            prop_assert_eq!(before, shared);
            let first = sorted[0].0;
            let moments: Vec<Duration> = sorted.iter().map(|request| Duration::from_micros(request.0 - first)).collect();
            let replayed: Vec<Duration> = shapes.iter().map(|shape| shape.at.mul_f64(speed)).collect();
            // No whole number of microseconds is at an edge of these windows, where rounding would move it to another.
            let counts = |moments: &[Duration]| dispersion(moments, Duration::from_nanos(4_999_983_501));
            if let Some((a, b)) = counts(&moments).zip(counts(&replayed)) {
                prop_assert!((a - b).abs() <= 0.05 * a, "{a} {b}");
            }
        }
    }
}
