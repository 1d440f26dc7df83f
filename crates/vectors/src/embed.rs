//! What makes vectors of texts, and what it says.

use std::time::Duration;

use serde::Deserialize;
use wire::base64;

use crate::retry::Class;
use crate::row::floats_of_bytes;

/// Vectors of texts, in their order, and what they took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embedded {
    /// One for each text.
    pub vectors: Vec<Vec<f32>>,
    /// How many tokens were read, where it says so.
    pub n_tokens: Option<u64>,
    /// What it costs in billionths of a dollar, where that is known.
    pub nanos: Option<u64>,
    /// How many of the texts were longer than it reads, and were cut.
    pub n_cut: u64,
}

/// Why there are no vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What helps.
    pub class: Class,
    /// What was said.
    pub why: String,
    /// How long it asks to be left alone.
    pub after: Option<Duration>,
}

impl Refused {
    /// Something that lies in the texts.
    pub fn poison(why: impl ToString) -> Refused {
        Refused { class: Class::Poison, why: why.to_string(), after: None }
    }

    /// Something that nothing helps against.
    pub fn permanent(why: impl ToString) -> Refused {
        Refused { class: Class::Permanent, why: why.to_string(), after: None }
    }
}

/// Makes vectors, one call at a time.
pub trait Worker {
    /// The vectors of texts.
    ///
    /// # Errors
    /// Why there are none.
    fn embed(&mut self, texts: &[&str]) -> Result<Embedded, Refused>;
}

/// What makes vectors. Every thread has a worker of its own.
pub trait Embed: Send + Sync {
    /// A worker for the thread that asks.
    ///
    /// # Errors
    /// Why there is none.
    fn worker(&self) -> Result<Box<dyn Worker + '_>, String>;
}

#[derive(Deserialize)]
struct RawAnswer {
    data: Vec<RawItem>,
    #[serde(default)]
    usage: Option<RawUsage>,
}

#[derive(Deserialize)]
struct RawItem {
    index: Option<usize>,
    embedding: RawVector,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawVector {
    Numbers(Vec<Option<f32>>),
    Base64(String),
}

#[derive(Deserialize)]
struct RawUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
}

/// Reads an answer of `/v1/embeddings` to so many texts: each has one vector, whichever order they come in.
///
/// # Errors
/// What is wrong with it.
pub fn read(body: &[u8], n_texts: usize) -> Result<Embedded, String> {
    let raw: RawAnswer =
        serde_json::from_slice(body).map_err(|error| format!("the answer holds no embeddings: {error}"))?;
    let n = raw.data.len();
    if n != n_texts {
        return Err(format!("{n} vectors came for {n_texts} texts"));
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; n_texts];
    for (at, item) in raw.data.into_iter().enumerate() {
        let vector = match item.embedding {
            // Where a number is null the server had one that JSON does not know.
            RawVector::Numbers(numbers) => numbers.into_iter().map(|number| number.unwrap_or(f32::NAN)).collect(),
            RawVector::Base64(text) => {
                base64::decode(&text).and_then(|bytes| floats_of_bytes(&bytes)).ok_or("a vector cannot be read")?
            }
        };
        let index = item.index.unwrap_or(at);
        let place = vectors.get_mut(index).ok_or_else(|| format!("a vector is for text {index} of {n_texts}"))?;
        if place.replace(vector).is_some() {
            return Err(format!("two vectors came for text {index}"));
        }
    }
    let vectors = vectors.into_iter().flatten().collect();
    let n_tokens = raw.usage.and_then(|usage| usage.prompt_tokens.or(usage.total_tokens));
    Ok(Embedded { vectors, n_tokens, ..Embedded::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<Vec<Vec<f32>>, &str>) {
        let read = read(body.as_bytes(), 2).map(|embedded| embedded.vectors);
        match (read, expected) {
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
            (read, expected) => assert_eq!(read, expected.map_err(str::to_owned), "{body}"),
        }
    }

    #[test]
    fn vectors_are_put_to_the_texts_that_their_index_names() {
        let both = || Ok(vec![vec![0.5, -1.0], vec![2.0, 0.0]]);
        check(r#"{"data":[{"index":1,"embedding":[2,0]},{"index":0,"embedding":[0.5,-1]}]}"#, both());
        check(r#"{"data":[{"embedding":"AAAAPwAAgL8="},{"embedding":"AAAAQAAAAAA="}]}"#, both());
    }

    #[test]
    fn an_answer_that_is_not_one_vector_for_each_text_is_none() {
        check(r#"{"data":[{"index":0,"embedding":[1]}]}"#, Err("1 vectors came for 2 texts"));
        check(
            r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#,
            Err("two vectors came for text 0"),
        );
        check(r#"{"data":[{"index":1,"embedding":[1]},{"index":2,"embedding":[1]}]}"#, Err("for text 2 of 2"));
        check(r#"{"data":[{"embedding":"AAA="},{"embedding":"AAA="}]}"#, Err("a vector cannot be read"));
        check("{}", Err("holds no embeddings"));
    }

    #[test]
    fn tokens_are_what_the_server_counted() {
        let body = br#"{"data":[{"embedding":[1,null]}],"usage":{"prompt_tokens":7,"total_tokens":9}}"#;
        let embedded = read(body, 1).unwrap();
        assert_eq!(embedded.n_tokens, Some(7));
        assert!(embedded.vectors[0][1].is_nan());
    }
}
