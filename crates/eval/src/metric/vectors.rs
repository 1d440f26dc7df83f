//! Similarity of meaning from vectors that a model gave: cosine of texts, and BERTScore of tokens (Zhang et al. 2020).
//!
//! Nothing here runs a model. Whoever does ([`Encode`]) hands in the vectors; an embeddings target gives those of texts.

use serde::{Deserialize, Serialize};

use super::{Answer, Case, Judged, Metric, Range, Score, Unscored};

/// The vectors of a text's tokens, as an encoder gives them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tokens {
    /// One vector a token, all of one length; what a tokenizer puts around a text (`[CLS]`, `[SEP]`) included.
    pub vectors: Vec<Vec<f32>>,
    /// The weight of each token: 1, or its inverse document frequency; 0 for what the tokenizer puts around a text.
    pub weights: Vec<f64>,
}

/// A text as a model that knows tokens sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Encoding {
    /// Of the text.
    pub vector: Vec<f32>,
    /// Of its tokens.
    pub tokens: Tokens,
}

/// A model that gives vectors of a text and of its tokens.
pub trait Encode {
    /// What can go wrong.
    type Error;

    /// Names model, layer and weighting, as `bert-base-uncased-1a2b3c4d_L9_no-idf`: part of the metrics' ids.
    fn id(&self) -> String;

    /// The vectors of a text.
    ///
    /// # Errors
    /// When the model cannot be asked.
    fn encode(&self, text: &str) -> Result<Encoding, Self::Error>;
}

/// Whether the metric of this name, or id, needs vectors.
#[must_use]
pub fn is_by_meaning(name: &str) -> bool {
    matches!(name.split('@').next(), Some("embedding_cosine" | "bertscore"))
}

/// Precision, recall and F1 of BERTScore, not rescaled.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BertScore {
    /// How well each token of the answer is matched in the reference.
    pub precision: f64,
    /// How well each token of the reference is matched in the answer.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// Which number of a BERTScore counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    Precision,
    Recall,
    #[default]
    F1,
}

impl Figure {
    fn of(self, score: BertScore) -> f64 {
        match self {
            Figure::Precision => score.precision,
            Figure::Recall => score.recall,
            Figure::F1 => score.f1,
        }
    }
}

/// `bertscore`, by the encoder of this id.
pub(super) fn bert_metric(figure: Figure, encoder: Option<&str>) -> Metric {
    let of = match figure {
        Figure::Precision => ":precision",
        Figure::Recall => ":recall",
        Figure::F1 => "",
    };
    Metric::new(
        format!("bertscore@bert-score-0.3.13{of}{}", by(encoder)),
        "every token finds its nearest on the other side by the cosine of their vectors; the mean over the answer's is precision, over the \
         reference's recall, and F1 their harmonic mean; not rescaled; the best reference counts",
        move |case: &Case, answer| {
            let matches = answer.judged.as_ref().and_then(|judged| judged.matches.as_ref());
            let Some(matches) = matches else { return Score::unscored(Unscored::NoJudgement) };
            if case.references.is_empty() {
                return Score::unscored(Unscored::NoReference);
            }
            let is_blank = |text: &str| text.trim().is_empty();
            let of_reference = |reference: &String| {
                if is_blank(reference) || is_blank(&answer.text) {
                    return Some(BertScore::default());
                }
                matches.get(reference).copied()
            };
            let scores = case.references.iter().map(of_reference).collect::<Option<Vec<_>>>();
            let best = scores.and_then(|scores| scores.into_iter().map(|score| figure.of(score)).max_by(f64::total_cmp));
            best.map_or(Score::unscored(Unscored::NoJudgement), Score::value)
        },
    )
    .within(Range::SIGNED_UNIT)
}

fn by(encoder: Option<&str>) -> String {
    encoder.map_or_else(String::new, |encoder| format!(":encoder={encoder}"))
}

/// `embedding_cosine`, by the encoder of this id.
pub(super) fn cosine_metric(encoder: Option<&str>) -> Metric {
    Metric::new(
        format!("embedding_cosine@crossfade-1{}", by(encoder)),
        "cosine of the vectors of answer and reference, in double precision; the best reference counts; vectors of zeros, of other \
         lengths or not finite leave the answer unscored",
        |case: &Case, answer: &Answer| {
            let Some(Judged { vectors: Some(vectors), .. }) = &answer.judged else {
                return Score::unscored(Unscored::NoJudgement);
            };
            if case.references.is_empty() {
                return Score::unscored(Unscored::NoReference);
            }
            let vector = |text: &String| vectors.0.get(text).map(Vec::as_slice);
            // A text of blanks has no vector.
            let Some(said) = vector(&answer.text) else { return Score::unscored(Unscored::BadVector) };
            let cosines = case.references.iter().map(|reference| cosine(said, vector(reference)?));
            let cosines = cosines.collect::<Option<Vec<f64>>>();
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
