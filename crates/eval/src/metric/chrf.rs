//! chrF2 (Popović 2015) and chrF2++ (2017) as sacreBLEU 2.6 computes them: character n-grams up to 6 without white space, for `++` word
//! n-grams up to 2 as well, recall counted twice, orders that either side is too short for left out of the mean.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Basis, Case, Metric, Score, Unscored, python};

/// The longest n-gram of characters.
const CHARACTERS: usize = 6;
/// Recall weighs this many times as much as precision.
const BETA_SQUARED: f64 = 4.0;

/// N-grams of one order: of the answer (0 where the reference has none), of the reference, and shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Order {
    answer: u64,
    reference: u64,
    shared: u64,
}

/// `chrf` and `chrf_plus_plus`.
pub(super) fn metric(name: &str, n_words: usize) -> Metric {
    Metric::new(
        format!("{name}@sacrebleu-2.6.0:case=mixed,eff=yes,nc=6,nw={n_words},space=no"),
        "F2 of the mean precision and recall of n-grams; of one case with its best reference, of many from the added counts; 0 to 100",
        move |case: &Case, answer| match best(&answer.text, &case.references, n_words) {
            None => Score::unscored(Unscored::NoReference),
            Some(orders) => {
                let list = orders.iter().flat_map(|order| [order.answer, order.reference, order.shared]);
                let basis = Basis::Counts(list.map(|n| n as f64).collect());
                Score::value(f_score(&orders).clamp(0.0, 100.0)).with_basis(basis)
            }
        },
    )
    .within(super::Range::PERCENT)
    .pooled(move |scores| Some(f_score(&added(scores, CHARACTERS + n_words)?).clamp(0.0, 100.0)))
}

/// The counts with the reference that gives the best score. `None` without references.
pub fn best<R: AsRef<str>>(answer: &str, references: &[R], n_words: usize) -> Option<Vec<Order>> {
    let mut best: Option<(f64, Vec<Order>)> = None;
    for reference in references {
        let orders = orders(answer, reference.as_ref(), n_words);
        let score = f_score(&orders);
        if best.as_ref().is_none_or(|(other, _)| score > *other) {
            best = Some((score, orders));
        }
    }
    best.map(|(_, orders)| orders)
}

fn orders(answer: &str, reference: &str, n_words: usize) -> Vec<Order> {
    let characters = |text: &str| text.chars().filter(|c| !python::is_space(*c)).collect::<Vec<char>>();
    let (of_answer, of_reference) = (characters(answer), characters(reference));
    let mut orders: Vec<Order> = (1..=CHARACTERS).map(|n| order_of_characters(&of_answer, &of_reference, n)).collect();
    let (of_answer, of_reference) = (words(answer), words(reference));
    orders.extend((1..=n_words).map(|n| order(&of_answer, &of_reference, n)));
    orders
}

/// The same as [`order`] for characters, of which six fit into a number: sorted numbers are counted in a tenth of the time that a map of slices takes.
fn order_of_characters(answer: &[char], reference: &[char], n: usize) -> Order {
    if reference.len() < n {
        return Order::default();
    }
    let packed = |text: &[char]| {
        // 21 bits hold a character, there are 0x11_0000; six take 126 of the 128.
        let pack = |gram: &[char]| gram.iter().fold(0_u128, |packed, c| packed << 21 | u128::from(u32::from(*c)));
        let mut packed: Vec<u128> = text.windows(n).map(pack).collect();
        packed.sort_unstable();
        packed
    };
    let (of_answer, of_reference) = (packed(answer), packed(reference));
    let (mut shared, mut at) = (0, 0);
    for gram in &of_answer {
        while of_reference.get(at).is_some_and(|other| other < gram) {
            at += 1;
        }
        // Each of the reference's goes to one of the answer's.
        if of_reference.get(at) == Some(gram) {
            shared += 1;
            at += 1;
        }
    }
    Order { answer: of_answer.len() as u64, reference: of_reference.len() as u64, shared }
}

fn order<T: Eq + Hash>(answer: &[T], reference: &[T], n: usize) -> Order {
    let of_reference = n_grams(reference, n);
    if of_reference.is_empty() {
        return Order::default();
    }
    let of_answer = n_grams(answer, n);
    let shared = of_answer.iter().map(|(gram, n)| (*n).min(of_reference.get(gram).copied().unwrap_or(0))).sum();
    Order { answer: of_answer.values().sum(), reference: of_reference.values().sum(), shared }
}

fn n_grams<T: Eq + Hash>(tokens: &[T], n: usize) -> HashMap<&[T], u64> {
    let mut counts = HashMap::new();
    for gram in tokens.windows(n) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// Words, with one mark of punctuation at the end, else at the beginning, a word of its own.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in python::split(text) {
        let (first, last) = (word.chars().next(), word.chars().next_back());
        let is_single = word.chars().nth(1).is_none();
        if !is_single && last.is_some_and(python::is_punctuation) {
            let at = word.len() - 1;
            words.extend([&word[..at], &word[at..]]);
        } else if !is_single && first.is_some_and(python::is_punctuation) {
            words.extend([&word[..1], &word[1..]]);
        } else {
            words.push(word);
        }
    }
    words
}

/// By hand: `ab` against `abc` has precisions 1, 1 and recalls 2/3, 1/2 of orders 1 and 2; F2 of 1 and 7/12 is 5·(7/12)/(4 + 7/12) = 7/11.
fn f_score(orders: &[Order]) -> f64 {
    let mut precision = 0.0;
    let mut recall = 0.0;
    let mut n_orders = 0.0;
    for order in orders.iter().filter(|order| order.answer > 0 && order.reference > 0) {
        precision += order.shared as f64 / order.answer as f64;
        recall += order.shared as f64 / order.reference as f64;
        n_orders += 1.0;
    }
    if n_orders == 0.0 || precision + recall == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precision / n_orders, recall / n_orders);
    100.0 * ((1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers that the metric wrote")]
fn added(scores: &[&Score], n_orders: usize) -> Option<Vec<Order>> {
    let mut sum = vec![Order::default(); n_orders];
    for score in scores {
        let Basis::Counts(list) = &score.basis else { return None };
        for (order, counts) in sum.iter_mut().zip(list.chunks_exact(3)) {
            order.answer += counts[0] as u64;
            order.reference += counts[1] as u64;
            order.shared += counts[2] as u64;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_the_one_worked_out_by_hand() {
        let orders = best("ab", &["abc"], 0).unwrap();
        assert!((f_score(&orders) - 100.0 * 7.0 / 11.0).abs() < 1e-9);
    }

    #[test]
    fn one_mark_of_punctuation_is_split_off_at_the_end_before_the_beginning() {
        assert_eq!(words("(hi) \"x no. .5 ! é."), ["(hi", ")", "\"", "x", "no", ".", ".", "5", "!", "é", "."]);
    }

    #[test]
    fn an_order_that_the_reference_is_too_short_for_does_not_count() {
        assert_eq!(best("abcdef", &[""], 2).map(|orders| f_score(&orders)), Some(0.0));
        assert_eq!(best("x", &["x"], 2).map(|orders| f_score(&orders)), Some(100.0));
    }
}
