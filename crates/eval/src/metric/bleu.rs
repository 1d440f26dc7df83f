//! BLEU (Papineni et al. 2002) as sacreBLEU 2.6 computes it: tokenizer 13a, exponential smoothing, n-grams up to 4.
//!
//! Of one case it is the sentence BLEU with effective order, so that short texts are not 0 for want of 4-grams; of many cases the
//! corpus BLEU of the added counts, without it. Both are what sacreBLEU's own defaults and warnings ask for, on its scale of 0 to 100.

use std::collections::HashMap;

use super::{Basis, Case, Metric, Score, Unscored, python};

/// The longest n-gram.
const ORDER: usize = 4;

/// Lengths of answer and closest reference; n-grams of the answer that a reference has, and all of them, for n of 1 to 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Tokens of the answer.
    pub answer: u64,
    /// Tokens of the reference whose length is closest, the shorter one where two are.
    pub reference: u64,
    /// N-grams shared, no more often than in the reference that has most of them.
    pub shared: [u64; ORDER],
    /// N-grams of the answer.
    pub total: [u64; ORDER],
}

/// `bleu`.
pub(super) fn metric() -> Metric {
    Metric::new(
        "bleu@sacrebleu-2.6.0:case=mixed,tok=13a,smooth=exp",
        "of one case: sentence BLEU with effective order; of many: corpus BLEU of the added counts, without; 0 to 100",
        |case: &Case, answer| {
            if case.references.is_empty() {
                return Score::unscored(Unscored::NoReference);
            }
            let counts = Counts::of(&answer.text, &case.references);
            Score::value(counts.bleu(true).clamp(0.0, 100.0)).with_basis(Basis::Counts(counts.to_list()))
        },
    )
    .within(super::Range::PERCENT)
    .pooled(|scores| Some(Counts::added(scores)?.bleu(false).clamp(0.0, 100.0)))
}

impl Counts {
    /// The counts of one answer.
    #[must_use]
    pub fn of<R: AsRef<str>>(answer: &str, references: &[R]) -> Counts {
        let answer = tokens(answer);
        let mut most: HashMap<&[String], u64> = HashMap::new();
        let references: Vec<Vec<String>> = references.iter().map(|reference| tokens(reference.as_ref())).collect();
        for reference in &references {
            for (gram, n) in n_grams(reference) {
                let most = most.entry(gram).or_default();
                *most = (*most).max(n);
            }
        }
        let length = answer.len();
        let closest = references.iter().map(Vec::len).min_by_key(|n| (n.abs_diff(length), *n)).unwrap_or(0);
        let mut counts = Counts { answer: length as u64, reference: closest as u64, ..Counts::default() };
        for (gram, n) in n_grams(&answer) {
            counts.total[gram.len() - 1] += n;
            counts.shared[gram.len() - 1] += n.min(most.get(gram).copied().unwrap_or(0));
        }
        counts
    }

    fn to_list(self) -> Vec<f64> {
        let all = [self.answer, self.reference].into_iter().chain(self.shared).chain(self.total);
        all.map(|n| n as f64).collect()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers that to_list wrote")]
    fn added(scores: &[&Score]) -> Option<Counts> {
        let mut sum = Counts::default();
        for score in scores {
            let Basis::Counts(list) = &score.basis else { return None };
            let mut numbers = list.iter().map(|n| *n as u64);
            let fields = [&mut sum.answer, &mut sum.reference].into_iter().chain(&mut sum.shared).chain(&mut sum.total);
            for field in fields {
                *field += numbers.next()?;
            }
        }
        Some(sum)
    }

    /// BLEU of these counts, 0 to 100. `effective`: only the orders that the answer is long enough for.
    ///
    /// By hand: `a b c d e` against itself has every precision 1 and no penalty: 100.
    #[must_use]
    pub fn bleu(&self, effective: bool) -> f64 {
        if self.shared == [0; ORDER] {
            return 0.0;
        }
        let mut smoothing = 1.0;
        let mut order = ORDER;
        let mut precisions = [0.0_f64; ORDER];
        for (n, precision) in precisions.iter_mut().enumerate() {
            if self.total[n] == 0 {
                break;
            }
            if effective {
                order = n + 1;
            }
            // An order without a match counts as half a match, the next one as a quarter, and so on.
            *precision = if self.shared[n] == 0 {
                smoothing *= 2.0;
                100.0 / (smoothing * self.total[n] as f64)
            } else {
                100.0 * self.shared[n] as f64 / self.total[n] as f64
            };
        }
        // An order that is not there at all has no logarithm; sacreBLEU takes a number that makes BLEU 0.
        let logarithms = precisions[..order].iter().map(|p| if *p == 0.0 { -9_999_999_999.0 } else { p.ln() });
        self.penalty() * (logarithms.sum::<f64>() / order as f64).exp()
    }

    fn penalty(&self) -> f64 {
        if self.answer >= self.reference {
            return 1.0;
        }
        if self.answer == 0 { 0.0 } else { (1.0 - self.reference as f64 / self.answer as f64).exp() }
    }
}

fn n_grams(tokens: &[String]) -> HashMap<&[String], u64> {
    let mut counts = HashMap::new();
    for n in 1..=ORDER {
        for gram in tokens.windows(n) {
            *counts.entry(gram).or_default() += 1;
        }
    }
    counts
}

/// The tokens of mteval-v13a.
fn tokens(text: &str) -> Vec<String> {
    let mut text =
        text.trim_end_matches(python::is_space).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    for (entity, c) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
        text = text.replace(entity, c);
    }
    let mut spaced = String::with_capacity(text.len() + 16);
    spaced.push(' ');
    for c in text.chars() {
        if is_symbol(c) {
            spaced.extend([' ', c, ' ']);
        } else {
            spaced.push(c);
        }
    }
    spaced.push(' ');
    let point = |c: char| matches!(c, '.' | ',');
    let digit = |c: char| c.is_ascii_digit();
    let spaced = pairs(&spaced, |c| !digit(c), point, |one, other, out| out.extend([one, ' ', other, ' ']));
    let spaced = pairs(&spaced, point, |c| !digit(c), |one, other, out| out.extend([' ', one, ' ', other]));
    let spaced = pairs(&spaced, digit, |c| c == '-', |one, other, out| out.extend([one, ' ', other, ' ']));
    python::split(&spaced).map(str::to_owned).collect()
}

/// ASCII punctuation but for apostrophe, comma, dash and full stop, and the space.
fn is_symbol(c: char) -> bool {
    matches!(c, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

/// Replaces every two neighbours that fit, from the left and without overlap.
fn pairs(
    text: &str,
    first: impl Fn(char) -> bool,
    second: impl Fn(char) -> bool,
    write: impl Fn(char, char, &mut String),
) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.next_if(|next| first(c) && second(*next)) {
            Some(next) => write(c, next, &mut out),
            None => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_against_itself_is_100_and_against_another_0() {
        let text = "the quick brown fox jumps";
        assert!((Counts::of(text, &[text]).bleu(false) - 100.0).abs() < 1e-9);
        assert_eq!(Counts::of(text, &["nothing alike"]).bleu(true), 0.0);
        assert_eq!(Counts::of("", &["a"]).bleu(true), 0.0);
    }

    #[test]
    fn numbers_keep_their_points_and_words_do_not() {
        assert_eq!(tokens("1,000.5 a.b, 3-4 x-y"), ["1,000.5", "a", ".", "b", ",", "3", "-", "4", "x-y"]);
        assert_eq!(tokens("&quot;it's&quot; (ok)\n"), ["\"", "it's", "\"", "(", "ok", ")"]);
    }

    #[test]
    fn a_short_answer_pays_for_it_once() {
        // 2 of 2 words, 1 of 1 pair; penalty exp(1 - 4/2).
        let counts = Counts::of("a b", &["a b c d"]);
        assert!((counts.bleu(true) - 100.0 * (-1.0_f64).exp()).abs() < 1e-9);
        assert_eq!(counts.bleu(false), 0.0, "without effective order there are no 3-grams to be right");
    }
}
