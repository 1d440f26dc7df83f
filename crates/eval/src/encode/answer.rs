//! What an encoder says of a case's texts: as it comes over the wire, and as it is kept.

use serde::{Deserialize, Serialize};
use wire::base64;

use super::Texts;
use crate::case::Answer;
use crate::metric::vectors::BertScore;

/// What an encoder says of a case's texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Encoded {
    /// A vector for each text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// For each answer, and in it for each reference, how their tokens match; empty where the encoder knows no tokens.
    pub matches: Vec<BertScore>,
}

/// As it is kept: single precision, least byte first, in base64.
#[derive(Serialize, Deserialize)]
struct Kept {
    vectors: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    matches: Vec<BertScore>,
}

impl Encoded {
    /// As the answer of an item.
    #[must_use]
    pub fn kept(&self) -> Answer {
        let bytes = |vector: &Vec<f32>| vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        let vectors = self.vectors.iter().map(|vector| base64::encode(&bytes(vector))).collect();
        let kept = Kept { vectors, matches: self.matches.clone() };
        // Texts and numbers always serialise.
        Answer { text: serde_json::to_string(&kept).unwrap_or_default(), ..Answer::default() }
    }

    /// Of an item's answer; `None` where it is not about these texts.
    pub(super) fn of(answer: &Answer, texts: &Texts) -> Option<Encoded> {
        let kept: Kept = serde_json::from_str(&answer.text).ok()?;
        let vectors = kept.vectors.iter().map(|text| floats(text)).collect::<Option<Vec<_>>>()?;
        let n_matches = texts.answers.len() * texts.references.len();
        let fits = vectors.len() == texts.all.len() && (kept.matches.is_empty() || kept.matches.len() == n_matches);
        fits.then_some(Encoded { vectors, matches: kept.matches })
    }
}

#[derive(Deserialize)]
struct RawAnswer {
    data: Vec<RawItem>,
}

#[derive(Deserialize)]
struct RawItem {
    index: Option<usize>,
    embedding: RawVector,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawVector {
    Numbers(Vec<f32>),
    Base64(String),
}

/// Reads the embeddings of so many texts, in the order of the texts, as an item's answer.
pub(crate) fn read(body: &[u8], n_texts: usize) -> Result<Answer, &'static str> {
    let raw: RawAnswer = serde_json::from_slice(body).map_err(|_| "the answer holds no embeddings")?;
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; n_texts];
    for (place, item) in raw.data.into_iter().enumerate() {
        let vector = match item.embedding {
            RawVector::Numbers(vector) => vector,
            RawVector::Base64(text) => floats(&text).ok_or("an embedding cannot be read")?,
        };
        let of = vectors.get_mut(item.index.unwrap_or(place)).ok_or("there are more embeddings than texts")?;
        *of = Some(vector);
    }
    let vectors = vectors.into_iter().collect::<Option<Vec<_>>>().ok_or("a text has no embedding")?;
    Ok(Encoded { vectors, matches: Vec::new() }.kept())
}

fn floats(text: &str) -> Option<Vec<f32>> {
    let bytes = base64::decode(text)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<Vec<Vec<f32>>, &'static str>) {
        let texts = Texts { all: vec!["a".to_owned(), "b".to_owned()], ..Texts::default() };
        let read = read(body.as_bytes(), 2).map(|answer| Encoded::of(&answer, &texts).unwrap().vectors);
        assert_eq!(read, expected, "{body}");
    }

    #[test]
    fn embeddings_are_read_in_the_order_of_the_texts_as_numbers_or_base64() {
        let both = || Ok(vec![vec![0.5, -1.0], vec![2.0, 0.0]]);
        check(r#"{"data":[{"index":1,"embedding":[2,0]},{"index":0,"embedding":[0.5,-1]}]}"#, both());
        check(r#"{"data":[{"embedding":"AAAAPwAAgL8="},{"embedding":"AAAAQAAAAAA="}]}"#, both());
    }

    #[test]
    fn what_is_not_one_vector_a_text_is_no_answer() {
        check(r#"{"data":[{"index":0,"embedding":[1]}]}"#, Err("a text has no embedding"));
        check(
            r#"{"data":[{"embedding":[1]},{"embedding":[1]},{"embedding":[1]}]}"#,
            Err("there are more embeddings than texts"),
        );
        check(r#"{"data":[{"embedding":"AAA="},{"embedding":"AAA="}]}"#, Err("an embedding cannot be read"));
        check("{}", Err("the answer holds no embeddings"));
    }

    #[test]
    fn what_is_kept_is_what_was_said() {
        let texts = Texts { all: vec!["a".to_owned()], references: vec![0], answers: vec![0] };
        let score = BertScore { precision: 0.1, recall: 0.2, f1: 0.3 };
        let encoded = Encoded { vectors: vec![vec![0.1, f32::MIN_POSITIVE]], matches: vec![score] };
        assert_eq!(Encoded::of(&encoded.kept(), &texts), Some(encoded.clone()));
        assert_eq!(Encoded::of(&encoded.kept(), &Texts::default()), None);
    }
}
