//! ROUGE (Lin 2004) as Google's `rouge-score` 0.1.2 computes it, which is what papers and leaderboards print.
//!
//! A text becomes lower case, every run of anything but `a-z0-9` ends a token, and with stemming tokens of more than three letters are
//! stemmed ([`porter`](super::porter)). So ROUGE sees no words in scripts other than Latin; that is its definition. ROUGE-1 and -2
//! are F1 of clipped n-gram counts, ROUGE-L of the longest common subsequence of the whole texts, ROUGE-Lsum of the union of the
//! subsequences of each reference line with every line of the answer, where no token counts more often than it occurs.
//! With several references the best F1 counts.

use std::collections::{BTreeSet, HashMap};

use super::{Case, Metric, Score, Unscored, porter};

/// Which of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rouge {
    /// N-grams of this length, at least 1.
    N(usize),
    /// The longest common subsequence.
    L,
    /// The same by lines.
    Lsum,
}

/// Precision, recall and their harmonic mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Overlap {
    /// Shared among the answer's.
    pub precision: f64,
    /// Shared among the reference's.
    pub recall: f64,
    /// Their harmonic mean; 0 where both are 0.
    pub f1: f64,
}

/// Cells of a table of common subsequences that are filled: about a second of one core, and 50 MB.
const MAX_CELLS: usize = 400_000_000;

/// `rouge_1`, `rouge_2`, `rouge_l` and `rouge_lsum`, with stemming when asked for.
pub(super) fn metric(name: &str, rouge: Rouge, stemmed: bool) -> Metric {
    let settings = if stemmed { ":stemmed" } else { "" };
    let definition = match rouge {
        Rouge::N(_) => "F1 of clipped n-gram counts of answer and reference; the best reference counts",
        Rouge::L => "F1 of the longest common subsequence of tokens; the best reference counts",
        Rouge::Lsum => "F1 of the union of common subsequences by lines; the best reference counts",
    };
    Metric::new(format!("{name}@rouge-score-0.1.2{settings}"), definition, move |case: &Case, answer| {
        let mut best = None;
        for reference in &case.references {
            let Some(overlap) = overlap(rouge, stemmed, reference, &answer.text) else {
                return Score::unscored(Unscored::TooLong);
            };
            best = Some(best.map_or(overlap.f1, |best: f64| best.max(overlap.f1)));
        }
        best.map_or(Score::unscored(Unscored::NoReference), Score::value)
    })
}

/// The overlap of an answer with one reference. `None` when it would take too many steps.
///
/// By hand: `the cat sat` and `the cat` share 2 tokens: 2/3 and 2/2, so F1 is 0.8 for ROUGE-1 and ROUGE-L.
#[must_use]
pub fn overlap(rouge: Rouge, stemmed: bool, reference: &str, answer: &str) -> Option<Overlap> {
    if rouge == Rouge::Lsum {
        let lines = |text: &str| -> Vec<Vec<String>> {
            text.split('\n').filter(|line| !line.is_empty()).map(|line| tokens(line, stemmed)).collect()
        };
        return by_lines(&lines(reference), &lines(answer));
    }
    let (reference, answer) = (tokens(reference, stemmed), tokens(answer, stemmed));
    match rouge {
        Rouge::N(n) => Some(n_grams(n, &reference, &answer)),
        _ if reference.is_empty() || answer.is_empty() => Some(Overlap::default()),
        _ => {
            let common = Common::of(&reference, &answer)?.length;
            Some(harmonic(common as f64 / answer.len() as f64, common as f64 / reference.len() as f64))
        }
    }
}

/// The tokens that ROUGE sees.
fn tokens(text: &str, stemmed: bool) -> Vec<String> {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !matches!(c, 'a'..='z' | '0'..='9')).filter(|word| !word.is_empty());
    words.map(|word| if stemmed && word.len() > 3 { porter::stem(word) } else { word.to_owned() }).collect()
}

fn harmonic(precision: f64, recall: f64) -> Overlap {
    let sum = precision + recall;
    Overlap { precision, recall, f1: if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 } }
}

fn n_grams(n: usize, reference: &[String], answer: &[String]) -> Overlap {
    let counted = |tokens| {
        let mut counts: HashMap<&[String], usize> = HashMap::new();
        for gram in <[String]>::windows(tokens, n.max(1)) {
            *counts.entry(gram).or_default() += 1;
        }
        counts
    };
    let (of_reference, of_answer) = (counted(reference), counted(answer));
    let shared: usize = of_reference.iter().map(|(gram, n)| (*n).min(of_answer.get(gram).copied().unwrap_or(0))).sum();
    let part = |counts: &HashMap<&[String], usize>| shared as f64 / counts.values().sum::<usize>().max(1) as f64;
    harmonic(part(&of_answer), part(&of_reference))
}

/// Answer and reference by lines.
fn by_lines(reference: &[Vec<String>], answer: &[Vec<String>]) -> Option<Overlap> {
    let n_of = |lines: &[Vec<String>]| lines.iter().map(Vec::len).sum::<usize>();
    let (n_reference, n_answer) = (n_of(reference), n_of(answer));
    if n_reference == 0 || n_answer == 0 {
        return Some(Overlap::default());
    }
    if n_reference.saturating_mul(n_answer) > MAX_CELLS {
        return None;
    }
    let counted = |lines| {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for token in <[Vec<String>]>::iter(lines).flatten() {
            *counts.entry(token).or_default() += 1;
        }
        counts
    };
    let (mut left_reference, mut left_answer) = (counted(reference), counted(answer));
    let mut n_hits = 0;
    for line in reference {
        let mut union: BTreeSet<usize> = BTreeSet::new();
        for other in answer {
            union.extend(Common::of(line, other)?.places(line, other));
        }
        for token in union.into_iter().map(|at| line[at].as_str()) {
            let left = (left_reference.get_mut(token), left_answer.get_mut(token));
            if let (Some(one), Some(other)) = left
                && *one > 0
                && *other > 0
            {
                *one -= 1;
                *other -= 1;
                n_hits += 1;
            }
        }
    }
    Some(harmonic(n_hits as f64 / n_answer as f64, n_hits as f64 / n_reference as f64))
}

/// A longest common subsequence of two lists of tokens.
struct Common {
    length: usize,
    /// For each cell of the table one bit: whether leaving out the answer's token is better than leaving out the reference's.
    bits: Vec<u64>,
    width: usize,
}

impl Common {
    /// `None` when the table would be too large.
    fn of(reference: &[String], answer: &[String]) -> Option<Common> {
        let width = answer.len();
        let n_cells = reference.len().checked_mul(width).filter(|n| *n <= MAX_CELLS)?;
        let mut bits = vec![0_u64; n_cells.div_ceil(64)];
        let mut above = vec![0_usize; width + 1];
        let mut row = vec![0_usize; width + 1];
        for (i, token) in reference.iter().enumerate() {
            for (j, other) in answer.iter().enumerate() {
                let cell = i * width + j;
                if row[j] > above[j + 1] {
                    bits[cell / 64] |= 1 << (cell % 64);
                }
                row[j + 1] = if token == other { above[j] + 1 } else { row[j].max(above[j + 1]) };
            }
            std::mem::swap(&mut above, &mut row);
        }
        Some(Common { length: above[width], bits, width })
    }

    /// The places in the reference of the subsequence that `rouge-score` reads out: from the end, and the reference's token is left
    /// out unless leaving out the answer's is better.
    fn places(&self, reference: &[String], answer: &[String]) -> Vec<usize> {
        let (mut i, mut j) = (reference.len(), answer.len());
        let mut places = Vec::with_capacity(self.length);
        while i > 0 && j > 0 {
            let cell = (i - 1) * self.width + (j - 1);
            if reference[i - 1] == answer[j - 1] {
                places.push(i - 1);
                i -= 1;
                j -= 1;
            } else if self.bits[cell / 64] >> (cell % 64) & 1 == 1 {
                j -= 1;
            } else {
                i -= 1;
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f1(rouge: Rouge, reference: &str, answer: &str) -> f64 {
        overlap(rouge, false, reference, answer).unwrap().f1
    }

    #[test]
    fn the_figures_are_those_worked_out_by_hand() {
        assert!((f1(Rouge::N(1), "the cat", "the cat sat") - 0.8).abs() < 1e-12);
        assert!((f1(Rouge::N(2), "the cat", "the cat sat") - 2.0 / 3.0).abs() < 1e-12);
        assert!((f1(Rouge::L, "the cat", "the cat sat") - 0.8).abs() < 1e-12);
        // Both lines of the reference are found, whatever their order in the answer.
        assert_eq!(f1(Rouge::Lsum, "a b\nc d", "c d\na b"), 1.0);
        assert_eq!(f1(Rouge::L, "a b c d", "c d a b"), 0.5);
    }

    #[test]
    fn what_has_no_latin_letter_or_digit_is_nothing() {
        assert_eq!(f1(Rouge::N(1), "日本", "日本"), 0.0);
        assert_eq!(f1(Rouge::Lsum, "\n\n", "x"), 0.0);
        assert_eq!(f1(Rouge::N(1), "\u{212a}elvin", "kelvin"), 1.0, "the Kelvin sign is a k in lower case");
    }

    #[test]
    fn stemming_joins_forms_of_a_word() {
        assert_eq!(overlap(Rouge::N(1), true, "relations", "relational").map(|o| o.f1), Some(1.0));
        assert_eq!(overlap(Rouge::N(1), false, "relations", "relational").map(|o| o.f1), Some(0.0));
    }
}
