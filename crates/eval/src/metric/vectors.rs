//! Similarity of meaning from vectors that a model gave: cosine of texts, and BERTScore of tokens (Zhang et al. 2020).
//!
//! Nothing here runs a model. Whoever does ([`Encoder`]) hands in the vectors; an embeddings target gives those of texts.

use super::{Case, Metric, Range, Score, Unscored, Vectors};

/// The vectors of a text's tokens, as an encoder gives them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tokens {
    /// One vector a token, all of one length; what a tokenizer puts around a text (`[CLS]`, `[SEP]`) included.
    pub vectors: Vec<Vec<f32>>,
    /// The weight of each token: 1, or its inverse document frequency; 0 for what the tokenizer puts around a text.
    pub weights: Vec<f64>,
}

/// A model that gives a vector for each token of a text.
pub trait Encoder {
    /// What can go wrong.
    type Error;

    /// Names model, layer and weighting, as `bert-base-uncased_L9_no-idf`: part of the metric's id.
    fn id(&self) -> String;

    /// The vectors of the tokens of a text.
    ///
    /// # Errors
    /// When the model cannot be asked.
    fn tokens(&self, text: &str) -> Result<Tokens, Self::Error>;
}

/// Precision, recall and F1 of BERTScore, not rescaled.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BertScore {
    /// How well each token of the answer is matched in the reference.
    pub precision: f64,
    /// How well each token of the reference is matched in the answer.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// `embedding_cosine`.
pub(super) fn cosine_metric() -> Metric {
    Metric::new(
        "embedding_cosine@crossfade-1",
        "cosine of the vectors of answer and reference, in double precision; the best reference counts; vectors of zeros, of other \
         lengths or not finite leave the answer unscored",
        |_: &Case, answer| {
            let vectors = answer.judged.as_ref().and_then(|judged| judged.vectors.as_ref());
            let Some(Vectors { answer, references }) = vectors else { return Score::unscored(Unscored::NoJudgement) };
            if references.is_empty() {
                return Score::unscored(Unscored::NoReference);
            }
            let cosines = references.iter().map(|reference| cosine(answer, reference)).collect::<Option<Vec<f64>>>();
            let best = cosines.and_then(|cosines| cosines.into_iter().max_by(f64::total_cmp));
            best.map_or(Score::unscored(Unscored::BadVector), Score::value)
        },
    )
    .within(Range::SIGNED_UNIT)
}

/// The cosine of two vectors. `None` when it has none.
///
/// By hand: (1, 0) and (1, 1) have 1/√2.
#[must_use]
pub fn cosine(one: &[f32], other: &[f32]) -> Option<f64> {
    if one.len() != other.len() {
        return None;
    }
    let length = norm(one)? * norm(other)?;
    Some((dot(one, other) / length).clamp(-1.0, 1.0))
}

/// BERTScore of one answer against one reference: every token has the largest cosine it finds on the other side, and the means are
/// weighted. Where a side has no token but those the tokenizer puts around a text (weight 0), everything is 0, as in `bert-score`,
/// whose test for it is that a side has two tokens. `None` when a vector is all zeros or not finite, or lengths differ.
#[must_use]
pub fn bert_score(answer: &Tokens, reference: &Tokens) -> Option<BertScore> {
    let weight = |tokens: &Tokens| tokens.weights.iter().sum::<f64>();
    let is_whole = |tokens: &Tokens| tokens.vectors.len() == tokens.weights.len();
    if !is_whole(answer) || !is_whole(reference) {
        return None;
    }
    let (of_answer, of_reference) = (weight(answer), weight(reference));
    if of_answer <= 0.0 || of_reference <= 0.0 {
        return Some(BertScore::default());
    }
    let mut rows = vec![f64::NEG_INFINITY; answer.vectors.len()];
    let mut columns = vec![f64::NEG_INFINITY; reference.vectors.len()];
    for (row, one) in answer.vectors.iter().enumerate() {
        for (column, other) in reference.vectors.iter().enumerate() {
            let cosine = cosine(one, other)?;
            rows[row] = rows[row].max(cosine);
            columns[column] = columns[column].max(cosine);
        }
    }
    let mean = |best: &[f64], weights: &[f64], sum: f64| {
        best.iter().zip(weights).map(|(best, weight)| best * weight / sum).sum::<f64>()
    };
    let precision = mean(&rows, &answer.weights, of_answer);
    let recall = mean(&columns, &reference.weights, of_reference);
    let sum = precision + recall;
    let f1 = if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum };
    Some(BertScore { precision, recall, f1 })
}

fn dot(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn norm(vector: &[f32]) -> Option<f64> {
    let norm = dot(vector, vector).sqrt();
    (norm.is_finite() && norm > 0.0).then_some(norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_is_worked_out_by_hand_or_there_is_none() {
        assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]).unwrap() - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(cosine(&[0.0], &[1.0]), None);
        assert_eq!(cosine(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(cosine(&[f32::NAN], &[1.0]), None);
    }

    #[test]
    fn every_token_finds_its_nearest_on_the_other_side() {
        let tokens = |vectors: &[[f32; 2]]| Tokens {
            vectors: vectors.iter().map(|vector| vector.to_vec()).collect(),
            weights: vec![1.0; vectors.len()],
        };
        let score = bert_score(&tokens(&[[1.0, 0.0], [0.0, 1.0]]), &tokens(&[[2.0, 0.0]])).unwrap();
        assert_eq!((score.precision, score.recall), (0.5, 1.0));
        assert!((score.f1 - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_text_of_marks_alone_scores_nothing() {
        let marks = Tokens { vectors: vec![vec![1.0]; 2], weights: vec![0.0; 2] };
        let text = Tokens { vectors: vec![vec![1.0]; 3], weights: vec![0.0, 1.0, 0.0] };
        assert_eq!(bert_score(&marks, &text), Some(BertScore::default()));
        assert_eq!(bert_score(&text, &text).map(|score| score.f1), Some(1.0));
    }
}
