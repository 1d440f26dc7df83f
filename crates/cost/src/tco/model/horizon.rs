//! Month by month: growth, what has been paid until then, and when the change has paid for itself.

use crate::tco::book::{Book, Expr, Ref};
use crate::tco::study::Study;

use super::items::Totals;
use super::{SIDES, Shared, Worth};

/// The months of a study, and what follows from them.
pub(super) fn horizon(book: &mut Book, study: &Study, shared: &Shared, (worths, totals): (&[Worth; 2], &[Totals; 2])) {
    let one_off: Vec<Ref> = study
        .one_off
        .iter()
        .map(|(name, quantity)| book.input(&format!("one_off.{name}"), (name, "$"), quantity))
        .collect();
    let once = book.derive("one_off", ("The change, once", "$"), Expr::sum(one_off.into_iter().map(Expr::from)));
    let discount = book.input("discount", ("What money costs in a year", "share"), &study.discount);
    let monthly = book.derive("discount_monthly", ("The same in a month", "share"), discount / Expr::Whole(12));
    let mut paid = [None, Some(once)];
    let (mut present, mut crossed): (Option<Ref>, Option<Ref>) = (None, None);
    for month in 1..=study.months {
        let at = |name: &str| format!("month_{month:03}.{name}");
        let due = [0, 1].map(|idx| {
            let formula = due(month - 1, shared, (worths, totals, idx));
            book.derive(&at(SIDES[idx]), (&format!("Month {month}"), "$/month"), formula)
        });
        for idx in [0, 1] {
            let sum = paid[idx].map_or(due[idx].into(), |before| before + due[idx]);
            let label = format!("Paid until the end of month {month}");
            paid[idx] = Some(book.derive(&at(&format!("{}_paid", SIDES[idx])), (&label, "$"), sum));
        }
        let saved = (due[0] - due[1]) / (Expr::ONE + Expr::from(monthly)).power(month);
        let before = present.map_or(Expr::Whole(0) - Expr::from(once), Expr::from);
        let label = format!("Present worth of the change after month {month}");
        present = Some(book.derive(&at("present_worth"), (&label, "$"), before + saved));
        let [Some(baseline), Some(candidate)] = paid else { continue };
        let here = Expr::if_at_most(candidate.into(), baseline.into(), Expr::Whole(month.into()), Expr::Whole(0));
        let formula = match crossed {
            None => here,
            // The first month stays the first.
            Some(before) => Expr::if_at_most(Expr::ONE, before.into(), before.into(), here),
        };
        crossed = Some(book.derive(
            &at("even"),
            ("First month in which the candidate had cost no more, 0 for none", "month"),
            formula,
        ));
    }
    let label = ("First month in which the candidate has cost no more, 0 for none within the horizon", "month");
    book.derive("even.month", label, crossed.map_or(Expr::Whole(0), Expr::from));
    let label = ("Present worth of the change at the end of the horizon", "$");
    book.derive("present_worth", label, present.map_or(Expr::Whole(0), Expr::from));
}

/// What a side costs `n` months from now.
fn due(n: u32, shared: &Shared, (worths, totals, idx): (&[Worth; 2], &[Totals; 2], usize)) -> Expr {
    let (own, other, total) = (&worths[idx], &worths[1 - idx], &totals[idx]);
    if n == 0 {
        return total.month.into();
    }
    let grown = |rate: Ref| (Expr::ONE + Expr::from(rate)).power(n);
    let (volume, tokens) = (grown(shared.volume_growth), grown(shared.token_growth));
    let mut task = own.model_cost * tokens.clone() * grown(own.price_change) + own.review_cost + own.undetected_cost;
    if let Some(share) = total.fallback {
        task = task + share * other.attempt_cost * tokens.clone() * grown(other.price_change);
    }
    let machines = total.machines.as_ref().map_or(Expr::Whole(0), |machines| machines.month(&volume, &tokens));
    Expr::from(total.standing) + machines + shared.tasks * volume * task
}
