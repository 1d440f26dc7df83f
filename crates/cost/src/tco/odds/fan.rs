//! What has been saved by each month, and by when the change has paid for itself, over draws of what is uncertain.

use serde::Serialize;

use super::{Book, Draw, Plan, Quantiles, quantiles};

/// Draws that months are shown from: enough for a picture, and a month costs as much to compute as everything else.
const DRAWS: u32 = 2_000;

/// A month of the horizon.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Month {
    /// From 1.
    pub month: u32,
    /// What the candidate has saved until its end, in dollars, the change itself taken off.
    pub saved: Quantiles,
    /// How likely the change has paid for itself by then.
    pub paid_back: f64,
}

/// Every month of a book; none where a figure it needs is unknown.
pub(super) fn fan(book: &Book, draw: Draw) -> Vec<Month> {
    let names: Vec<[String; 2]> = (1_u32..)
        .map(|month| ["baseline", "candidate"].map(|side| format!("month_{month:03}.{side}_paid")))
        .take_while(|names| book.at(&names[0]).is_some())
        .collect();
    let wanted: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
    let Some(plan) = Plan::of(book, &wanted) else { return Vec::new() };
    let draws = draw.draws.clamp(1, DRAWS);
    // Without a spread every draw is the same.
    let draws = if plan.inputs.is_empty() { 1 } else { draws };
    let (_, paid) = plan.draws(book, Draw { draws, ..draw });
    let n = f64::from(draws);
    let mut is_back = vec![false; paid.first().map_or(0, Vec::len)];
    paid.chunks_exact(2)
        .zip(1..)
        .map(|(both, month)| {
            let mut saved: Vec<f64> =
                both[0].iter().zip(&both[1]).map(|(baseline, candidate)| baseline - candidate).collect();
            // The first month in which it had cost no more stays the first.
            is_back.iter_mut().zip(&saved).for_each(|(is_back, saved)| *is_back |= *saved >= 0.0);
            saved.sort_unstable_by(f64::total_cmp);
            let paid_back = is_back.iter().filter(|is_back| **is_back).count() as f64 / n;
            Month { month, saved: quantiles(&saved), paid_back }
        })
        .collect()
}
