//! What a side costs in a month, item by item.

use crate::tco::book::{Book, Expr, Ref};
use crate::tco::study::{Amount, Attempt, Fallback, LineItem, Part, Side};

use super::capacity::{self, Machines};
use super::{Shared, Worth, nothing};

/// What a side comes to.
pub(in crate::tco) struct Totals {
    /// Dollars a month.
    pub(in crate::tco) month: Ref,
    /// Dollars a month whatever the volume.
    pub(in crate::tco) fixed: Ref,
    /// Dollars for every task more.
    pub(in crate::tco) variable: Ref,
    /// Of these, what is paid for tokens.
    pub(in crate::tco) tokens: Ref,
    /// Of these, what reviewing samples costs.
    pub(in crate::tco) sampling: Ref,
    /// What of the fixed costs does not follow the load.
    pub(in crate::tco) standing: Ref,
    /// The machines, where there are any.
    pub(in crate::tco) machines: Option<Machines>,
    /// The share of tasks that goes to the other side's vendor.
    pub(in crate::tco) fallback: Option<Ref>,
}

/// Every line item of a side and what they come to.
pub(super) fn items(
    book: &mut Book,
    (id, side): (&str, &Side),
    shared: &Shared,
    (own, other): (&Worth, &Worth),
) -> Totals {
    let mut machines = None;
    let mut cells = Vec::new();
    let mut fallback = None;
    for item in LineItem::ALL {
        let name = format!("{id}.item.{}", item.as_str());
        let label = (item.label(), "$/month");
        let cell = match item {
            LineItem::ApiFees => match &side.attempt {
                Attempt::Nothing(because) => nothing(book, &name, label, because),
                _ => book.derive(&name, label, shared.tasks * own.model_cost),
            },
            LineItem::Gpu => {
                machines = capacity::machines(book, (id, &side.capacity));
                capacity::item(book, (&name, label), (item, &side.capacity), machines.as_ref())
            }
            LineItem::AutoscalingHeadroom | LineItem::Redundancy | LineItem::Power => {
                capacity::item(book, (&name, label), (item, &side.capacity), machines.as_ref())
            }
            LineItem::HumanReview => book.derive(&name, label, shared.tasks * own.review_cost),
            LineItem::UndetectedFailures => book.derive(&name, label, shared.tasks * own.undetected_cost),
            LineItem::FallbackVendor => {
                let (cell, share) = fallback_vendor(book, (id, &name, label), &side.fallback, (shared.tasks, other));
                fallback = share;
                cell
            }
            _ => given(book, (&name, label), side, item),
        };
        cells.push((item, cell));
    }
    totals(book, id, (shared, own, other), (cells, machines, fallback))
}

fn given(book: &mut Book, (name, label): (&str, (&str, &'static str)), side: &Side, item: LineItem) -> Ref {
    let amount = side.given.iter().find(|(given, _)| *given == item).map(|(_, amount)| amount);
    let parts = match amount {
        Some(Amount::Parts(parts)) => parts.as_slice(),
        Some(Amount::Nothing(because)) => return nothing(book, name, label, because),
        None => &[],
    };
    if let [Part::Monthly(quantity)] = parts {
        return book.input(name, label, quantity);
    }
    let mut terms = Vec::new();
    for (idx, part) in parts.iter().enumerate() {
        let at =
            |what: &str| if parts.len() == 1 { format!("{name}.{what}") } else { format!("{name}.{}.{what}", idx + 1) };
        terms.push(match part {
            Part::Monthly(quantity) => book.input(&at("monthly"), label, quantity).into(),
            Part::Product { quantity, price } => {
                let quantity = book.input(&at("quantity"), (label.0, "a month"), quantity);
                quantity * book.input(&at("price"), (label.0, "$ each"), price)
            }
            Part::Amortised { once, months } => {
                let once = book.input(&at("once"), (label.0, "$"), once);
                once / book.input(&at("months"), (label.0, "months"), months)
            }
        });
    }
    book.derive(name, label, Expr::sum(terms))
}

fn fallback_vendor(
    book: &mut Book,
    (id, name, label): (&str, &str, (&str, &'static str)),
    fallback: &Fallback,
    (tasks, other): (Ref, &Worth),
) -> (Ref, Option<Ref>) {
    match fallback {
        Fallback::Nothing(because) => (nothing(book, name, label, because), None),
        Fallback::Share { share, minimum } => {
            let share = book.input(&format!("{id}.fallback.share"), ("Tasks that go to the fallback", "share"), share);
            let minimum =
                book.input(&format!("{id}.fallback.minimum"), ("Commitment to the fallback", "$/month"), minimum);
            let formula = tasks * share * other.attempt_cost + minimum;
            (book.derive(name, label, formula), Some(share))
        }
    }
}

fn totals(
    book: &mut Book,
    id: &str,
    (shared, own, other): (&Shared, &Worth, &Worth),
    (cells, machines, fallback): (Vec<(LineItem, Ref)>, Option<Machines>, Option<Ref>),
) -> Totals {
    let at = |name: &str| format!("{id}.{name}");
    let sum = |but: &[LineItem]| {
        Expr::sum(cells.iter().filter(|(item, _)| !but.contains(item)).map(|(_, cell)| Expr::from(*cell)))
    };
    let by_task = [LineItem::ApiFees, LineItem::HumanReview, LineItem::UndetectedFailures];
    let by_load = [LineItem::Gpu, LineItem::AutoscalingHeadroom, LineItem::Redundancy, LineItem::Power];
    let month = book.derive(&at("total"), ("Everything", "$/month"), sum(&[]));
    // The fallback's commitment is fixed; what it charges by the task is not.
    let charged = |own: Expr| fallback.map_or(own.clone(), |share| own + share * other.attempt_cost);
    let tokens = book.derive(
        &at("tokens_per_task"),
        ("Tokens of a task, the fallback's included", "$/task"),
        charged(own.model_cost.into()),
    );
    let variable = Expr::from(tokens) + own.review_cost + own.undetected_cost;
    let variable = book.derive(&at("variable_per_task"), ("What a task more costs", "$/task"), variable);
    let not_charged = |sum: Expr| fallback.map_or(sum.clone(), |share| sum - shared.tasks * share * other.attempt_cost);
    let fixed = book.derive(&at("fixed"), ("Costs whatever the volume", "$/month"), not_charged(sum(&by_task)));
    let standing = not_charged(sum(&[by_task.as_slice(), &by_load].concat()));
    let standing = book.derive(&at("standing"), ("Costs that follow neither tasks nor load", "$/month"), standing);
    let sampled = |name: &str| book.at(&at(name)).map_or(Expr::Whole(0), Expr::from);
    let sampling = sampled("review.sampled") * sampled("review.sampled_minutes") * shared.review_hour / Expr::Whole(60);
    let sampling = book.derive(&at("review.sampling_cost"), ("Review of samples, for a task", "$/task"), sampling);
    Totals { month, fixed, variable, tokens, sampling, standing, machines, fallback }
}
