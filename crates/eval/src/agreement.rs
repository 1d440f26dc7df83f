//! How far people who judged the same pairs agree beyond chance: Cohen's kappa of each two of them, Fleiss' kappa of all, with intervals.
//!
//! Whoever judges puts a pair into one of three categories: the baseline's answer is better, neither, the candidate's. An interval is
//! the percentile bootstrap over pairs. Where all agree, every resample says 1 as well, so the lower end is found otherwise: with `n`
//! pairs and no disagreement the rate of disagreements is below `1 - 0.025^(1/n)` with 97.5 % (Clopper and Pearson 1934), and kappa is
//! 1 less that rate over the one that chance gives. By hand: 20 pairs, half in each of two categories: 1 - 0.1684/0.5 = 0.663.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stats::agreement::{Weights, cohen, fleiss};
use stats::random::Random;

/// Baseline, neither, candidate.
pub const CATEGORIES: usize = 3;
/// Draws of the bootstrap.
const RESAMPLES: usize = 2000;
/// Of fewer pairs there is no interval.
const FEWEST: usize = 5;
/// The chance that is left out at each end.
const TAIL: f64 = 0.025;

/// By pair: who put it into which category.
pub type Ratings = BTreeMap<u64, BTreeMap<String, usize>>;

/// An agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kappa {
    /// Whose.
    pub reviewers: Vec<String>,
    /// Over how many pairs.
    pub n_pairs: u64,
    /// 1 for full agreement, 0 for what chance gives; none where it is not defined (no pairs, or one category alone).
    pub kappa: Option<f64>,
    /// Its 95 % interval; none of fewer than five pairs, or where the resamples are too much alike to say.
    pub interval: Option<(f64, f64)>,
}

/// Cohen's kappa of each two reviewers over what both judged.
#[must_use]
pub fn each_two(ratings: &Ratings, reviewers: &[String], seed: u64) -> Vec<Kappa> {
    let mut kappas = Vec::new();
    for (idx, one) in reviewers.iter().enumerate() {
        for other in reviewers.iter().skip(idx + 1) {
            let both = |of: &BTreeMap<String, usize>| Some(vec![*of.get(one)?, *of.get(other)?]);
            let items: Vec<Vec<usize>> = ratings.values().filter_map(both).collect();
            kappas.push(kappa(vec![one.clone(), other.clone()], &items, seed, of_two));
        }
    }
    kappas
}

/// Cohen's kappa of two who put as many pairs into each two categories as the table says: the first by row, the second by column.
#[must_use]
pub fn of_table(table: &[[u64; CATEGORIES]; CATEGORIES], names: [&str; 2], seed: u64) -> Kappa {
    let mut items = Vec::new();
    for (one, row) in table.iter().enumerate() {
        for (other, n) in row.iter().enumerate() {
            items.extend((0..*n).map(|_| vec![one, other]));
        }
    }
    kappa(names.map(str::to_owned).to_vec(), &items, seed, of_two)
}

/// Cohen's kappa of pairs that two put into categories.
fn of_two(items: &[&Vec<usize>]) -> Option<f64> {
    let mut table = vec![vec![0_u64; CATEGORIES]; CATEGORIES];
    for item in items {
        if let [one, other] = item[..]
            && let Some(cell) = table.get_mut(one).and_then(|row| row.get_mut(other))
        {
            *cell += 1;
        }
    }
    cohen(&table, Weights::Same).map(|agreement| agreement.estimate)
}

/// Fleiss' kappa over pairs that equally many people judged: as many as the most pairs that two or more judged have, the larger number
/// where two are as frequent. It does not ask that they be the same people.
#[must_use]
pub fn all(ratings: &Ratings, reviewers: &[String], seed: u64) -> Kappa {
    let mut frequent: BTreeMap<usize, usize> = BTreeMap::new();
    for of in ratings.values().filter(|of| of.len() > 1) {
        *frequent.entry(of.len()).or_default() += 1;
    }
    let n_raters = frequent.into_iter().max_by_key(|(n_raters, n)| (*n, *n_raters)).map_or(0, |(n_raters, _)| n_raters);
    let whole = ratings.values().filter(|of| of.len() == n_raters);
    let items: Vec<Vec<usize>> = whole.map(|of| of.values().copied().collect()).collect();
    kappa(reviewers.to_vec(), &items, seed, |items| {
        let counts = |item: &&Vec<usize>| {
            let mut counts = vec![0_u64; CATEGORIES];
            item.iter()
                .filter_map(|category| Some(category).filter(|at| **at < CATEGORIES))
                .for_each(|at| counts[*at] += 1);
            counts
        };
        fleiss(&items.iter().map(counts).collect::<Vec<_>>())
    })
}

fn kappa(reviewers: Vec<String>, items: &[Vec<usize>], seed: u64, of: impl Fn(&[&Vec<usize>]) -> Option<f64>) -> Kappa {
    let found = of(&items.iter().collect::<Vec<_>>());
    let interval = found.filter(|_| items.len() >= FEWEST).and_then(|found| {
        let is_full = items.iter().all(|item| item.iter().all(|category| Some(category) == item.first()));
        if is_full { full(items) } else { resampled(items, (found, seed), of) }
    });
    Kappa { reviewers, n_pairs: items.len() as u64, kappa: found, interval }
}

/// Everybody agrees everywhere.
fn full(items: &[Vec<usize>]) -> Option<(f64, f64)> {
    let mut counts = [0_u64; CATEGORIES];
    for category in items.iter().filter_map(|item| item.first()) {
        *counts.get_mut(*category)? += 1;
    }
    let n = items.len() as f64;
    let by_chance = 1.0 - counts.iter().map(|count| (*count as f64 / n).powi(2)).sum::<f64>();
    let disagreement = 1.0 - TAIL.powf(1.0 / n);
    (by_chance > 0.0).then(|| ((1.0 - disagreement / by_chance).max(-1.0), 1.0))
}

fn resampled(
    items: &[Vec<usize>],
    (found, seed): (f64, u64),
    of: impl Fn(&[&Vec<usize>]) -> Option<f64>,
) -> Option<(f64, f64)> {
    let mut random = Random::new(seed);
    let mut draw = || (0..items.len()).filter_map(|_| items.get(random.below(items.len()))).collect::<Vec<_>>();
    let mut drawn: Vec<f64> = (0..RESAMPLES).filter_map(|_| of(&draw())).collect();
    drawn.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length")]
    let place = (drawn.len() as f64 * TAIL) as usize;
    // Resamples in which only one category is left have no kappa; many of them, and the others are no fair draw.
    let is_enough = drawn.len() * 20 >= RESAMPLES * 19;
    let ends = drawn.get(place).zip(drawn.get(drawn.len().saturating_sub(place + 1)));
    ends.filter(|_| is_enough).map(|(low, high)| (low.min(found), high.max(found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|idx| format!("r{idx}")).collect()
    }

    fn ratings(items: &[&[usize]]) -> Ratings {
        let of =
            |item: &&[usize]| item.iter().enumerate().map(|(idx, category)| (format!("r{idx}"), *category)).collect();
        items.iter().map(of).enumerate().map(|(idx, of)| (idx as u64, of)).collect()
    }

    #[test]
    fn full_agreement_of_few_is_no_proof_of_it() {
        let items: Vec<&[usize]> = (0..20).map(|idx| if idx % 2 == 0 { &[0_usize, 0][..] } else { &[2, 2] }).collect();
        let kappas = each_two(&ratings(&items), &names(2), 1);
        let (low, high) = kappas[0].interval.unwrap();
        assert_eq!((kappas[0].kappa, high), (Some(1.0), 1.0));
        assert!((low - 0.663).abs() < 0.001, "{low}");
        assert_eq!(all(&ratings(&items[..4]), &names(2), 1).interval, None);
        assert_eq!(all(&ratings(&[&[1, 1], &[1, 1]]), &names(2), 1).kappa, None);
        assert_eq!(
            all(&ratings(&[]), &names(2), 1),
            Kappa { reviewers: names(2), n_pairs: 0, kappa: None, interval: None }
        );
    }

    /// 300 studies of 60 pairs by two people who agree by chance alone seven times in ten and otherwise on purpose: kappa is 0.3 in truth.
    #[test]
    fn the_interval_holds_the_truth_about_as_often_as_it_says() {
        let mut random = Random::new(5);
        let mut n_held = 0;
        for study in 0..300 {
            let items: Vec<Vec<usize>> = (0..60)
                .map(|_| {
                    let one = random.below(3);
                    vec![one, if random.below(10) < 3 { one } else { random.below(3) }]
                })
                .collect();
            let items: Vec<&[usize]> = items.iter().map(Vec::as_slice).collect();
            let of = each_two(&ratings(&items), &names(2), study);
            let (low, high) = of[0].interval.unwrap();
            n_held += u32::from(low <= 0.3 && 0.3 <= high);
            assert!(of[0].kappa.is_some_and(|kappa| low <= kappa && kappa <= high));
        }
        // 95 % of 300 is 285; under 270 would be 90 %.
        assert!((270..=299).contains(&n_held), "{n_held} of 300");
    }

    #[test]
    fn people_come_and_go_and_the_most_frequent_number_of_them_counts() {
        let mut of = ratings(&[&[0, 0, 0], &[0, 2], &[2, 2], &[0, 0], &[1, 1], &[2, 2], &[2]]);
        of.get_mut(&4).unwrap().insert("r9".to_owned(), 1);
        let fleiss = all(&of, &names(3), 1);
        assert_eq!(fleiss.n_pairs, 4);
        assert!(fleiss.kappa.is_some_and(|kappa| kappa > 0.3 && kappa < 1.0), "{fleiss:?}");
    }
}
