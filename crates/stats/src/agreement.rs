//! Do raters agree more than chance would? Kappa for two raters and for many, and Krippendorff's alpha where ratings are missing.
//!
//! All three are 1 for full agreement and 0 for what chance gives; a judge is only as good as its agreement with people. Sources: Cohen (1960) and
//! (1968) for weights; Fleiss, Cohen and Everitt, "Large sample standard errors of kappa and weighted kappa" (1969); Fleiss, "Measuring nominal
//! scale agreement among many raters" (1971); Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).

use crate::eprocess::count;

/// How much two raters' categories count as agreeing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Only the same category agrees.
    Same,
    /// Ordered categories: agreement falls with the distance.
    Linear,
    /// Ordered categories: agreement falls with the square of the distance.
    Quadratic,
}

/// How far apart two values of [`krippendorff`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Different or not.
    Nominal,
    /// By how many ratings lie between them.
    Ordinal,
    /// By their difference.
    Interval,
}

/// An agreement and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// 1 for full agreement, 0 for chance, below 0 for less than chance.
    pub estimate: f64,
    /// For an interval, `estimate ± z * standard_error`, at some fifty items or more.
    pub standard_error: f64,
}

/// Cohen's kappa of two raters: `table[a][b]` items were put in category `a` by the first and in `b` by the second.
///
/// `None` for no items, a table that is not square, or raters who both always chose the same one category (chance agrees fully).
#[must_use]
pub fn cohen(table: &[Vec<u64>], weights: Weights) -> Option<Agreement> {
    let k = table.len();
    let n = count(table.iter().flatten().sum());
    if n == 0.0 || table.iter().any(|row| row.len() != k) {
        return None;
    }
    let part = |first: usize, second: usize| count(table[first][second]) / n;
    let of_first: Vec<f64> = (0..k).map(|first| (0..k).map(|second| part(first, second)).sum()).collect();
    let of_second: Vec<f64> = (0..k).map(|second| (0..k).map(|first| part(first, second)).sum()).collect();
    let weight = |first: usize, second: usize| {
        let distance = first.abs_diff(second) as f64 / (k as f64 - 1.0).max(1.0);
        match weights {
            Weights::Same => f64::from(u8::from(first == second)),
            Weights::Linear => 1.0 - distance,
            Weights::Quadratic => 1.0 - distance * distance,
        }
    };
    let cells = || (0..k).flat_map(|first| (0..k).map(move |second| (first, second)));
    let observed: f64 = cells().map(|(first, second)| weight(first, second) * part(first, second)).sum();
    let by_chance: f64 =
        cells().map(|(first, second)| weight(first, second) * of_first[first] * of_second[second]).sum();
    let room = 1.0 - by_chance;
    if room < 1e-12 {
        return None;
    }
    let mean_of_first: Vec<f64> =
        (0..k).map(|at| (0..k).map(|other| of_second[other] * weight(at, other)).sum()).collect();
    let mean_of_second: Vec<f64> =
        (0..k).map(|at| (0..k).map(|other| of_first[other] * weight(other, at)).sum()).collect();
    let spread: f64 = cells()
        .map(|(first, second)| {
            let mean = mean_of_first[first] + mean_of_second[second];
            part(first, second) * (weight(first, second) * room - mean * (1.0 - observed)).powi(2)
        })
        .sum();
    let variance = (spread - (observed * by_chance - 2.0 * by_chance + observed).powi(2)) / (n * room.powi(4));
    Some(Agreement { estimate: (observed - by_chance) / room, standard_error: variance.max(0.0).sqrt() })
}

/// Fleiss' kappa of many raters: `ratings[item][category]` raters put the item there; every item has the same number of raters, two or more.
///
/// `None` where that does not hold, for no items, or where only one category was ever chosen.
#[must_use]
pub fn fleiss(ratings: &[Vec<u64>]) -> Option<f64> {
    let first = ratings.first()?;
    let raters: u64 = first.iter().sum();
    if raters < 2 || ratings.iter().any(|row| row.len() != first.len() || row.iter().sum::<u64>() != raters) {
        return None;
    }
    let (items, raters) = (ratings.len() as f64, count(raters));
    let pairs = |row: &Vec<u64>| row.iter().map(|n| count(*n) * (count(*n) - 1.0)).sum::<f64>();
    let observed = ratings.iter().map(pairs).sum::<f64>() / (items * raters * (raters - 1.0));
    let part = |category: usize| ratings.iter().map(|row| count(row[category])).sum::<f64>() / (items * raters);
    let by_chance: f64 = (0..first.len()).map(|category| part(category).powi(2)).sum();
    (by_chance < 1.0 - 1e-12).then(|| (observed - by_chance) / (1.0 - by_chance))
}

/// Krippendorff's alpha: each item's ratings, by whichever raters gave one. Items with fewer than two say nothing.
///
/// `None` where no item has two ratings, or all ratings are the same value.
#[must_use]
pub fn krippendorff(items: &[Vec<f64>], scale: Scale) -> Option<f64> {
    let pairable = || items.iter().filter(|ratings| ratings.len() > 1);
    let mut values: Vec<f64> = pairable().flatten().copied().collect();
    let n = values.len() as f64;
    values.sort_unstable_by(f64::total_cmp);
    let mut marginals: Vec<(f64, f64)> = Vec::new();
    for value in values {
        match marginals.last_mut().filter(|(last, _)| *last == value) {
            Some((_, n_here)) => *n_here += 1.0,
            None => marginals.push((value, 1.0)),
        }
    }
    let place = |value: f64| marginals.partition_point(|(marginal, _)| *marginal < value);
    let distance = |first: usize, second: usize| {
        let (low, high) = (first.min(second), first.max(second));
        match scale {
            Scale::Nominal => f64::from(u8::from(low != high)),
            Scale::Interval => (marginals[high].0 - marginals[low].0).powi(2),
            Scale::Ordinal => {
                let between: f64 = marginals[low..=high].iter().map(|(_, n_here)| n_here).sum();
                (between - f64::midpoint(marginals[low].1, marginals[high].1)).powi(2)
            }
        }
    };
    let within = |ratings: &Vec<f64>| {
        let places: Vec<usize> = ratings.iter().map(|value| place(*value)).collect();
        let sum: f64 = places.iter().flat_map(|first| places.iter().map(|second| distance(*first, *second))).sum();
        sum / (places.len() as f64 - 1.0)
    };
    let observed: f64 = pairable().map(within).sum();
    let pair = |first: usize, second: usize| marginals[first].1 * marginals[second].1 * distance(first, second);
    let all = 0..marginals.len();
    let by_chance: f64 =
        all.clone().flat_map(|first| all.clone().map(move |second| (first, second))).map(|(a, b)| pair(a, b)).sum();
    (by_chance > 0.0).then(|| 1.0 - observed * (n - 1.0) / by_chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 35 of 50 the same where chance gives half: 0.7 observed, 0.5 expected.
    #[test]
    fn kappa_by_hand() {
        let kappa = cohen(&[vec![20, 5], vec![10, 15]], Weights::Same).unwrap();
        assert!((kappa.estimate - 0.4).abs() < 1e-12, "{kappa:?}");
        assert!((krippendorff(&[vec![1.0, 1.0], vec![1.0, 2.0]], Scale::Nominal).unwrap() - 0.0).abs() < 1e-12);
    }

    #[test]
    fn full_agreement_is_one_however_it_is_measured() {
        assert!((cohen(&[vec![4, 0], vec![0, 6]], Weights::Quadratic).unwrap().estimate - 1.0).abs() < 1e-12);
        assert!((fleiss(&[vec![3, 0], vec![0, 3]]).unwrap() - 1.0).abs() < 1e-12);
        for scale in [Scale::Nominal, Scale::Ordinal, Scale::Interval] {
            assert!(
                (krippendorff(&[vec![1.0, 1.0], vec![3.0, 3.0, 3.0], vec![2.0]], scale).unwrap() - 1.0).abs() < 1e-12
            );
        }
    }

    #[test]
    fn what_is_not_defined_is_none() {
        assert_eq!(cohen(&[], Weights::Same), None);
        assert_eq!(cohen(&[vec![5, 0], vec![0, 0]], Weights::Same), None);
        assert_eq!(cohen(&[vec![5, 0]], Weights::Same), None);
        assert_eq!(fleiss(&[vec![2, 1], vec![1, 1]]), None);
        assert_eq!(fleiss(&[vec![3, 0], vec![3, 0]]), None);
        assert_eq!(krippendorff(&[vec![1.0], vec![2.0]], Scale::Nominal), None);
        assert_eq!(krippendorff(&[vec![1.0, 1.0]], Scale::Interval), None);
    }
}
