//! A study as a book of cells: the formulas.
//!
//! Of a task whose first attempt is right with probability `p` and whose retry `i` is right with `q_i` given that all before it were not:
//! attempts `E[A] = 1 + (1-p) Σ_j Π_{i<j} (1-q_i)`, failures that remain `R = (1-p) Π (1-q_i)`. With `V` tasks a month, fixed costs `F`, `c`
//! for an attempt, review `H = (s m_s + R e m_e) w` (share sampled, minutes, share of failures escalated, minutes, wage), undetected
//! failures `u c_bad` and the share `π` of escalated failures that people put right, the cost of a successful task is
//! `(F/V + E[A] c + H + u c_bad) / (1 - R (1 - e π))`.

mod capacity;
mod horizon;
mod items;

use std::collections::BTreeMap;

use super::book::{Book, Expr, Quantity, Ref, Source};
use super::exact::Exact;
use super::study::{Attempt, Because, Side, Study};

/// Hours of a month: a year of 8760 hours in twelve.
pub(super) const HOURS: Expr = Expr::Whole(730);
const MILLION: Expr = Expr::Whole(1_000_000);

/// The two sides' names in ids.
pub(super) const SIDES: [&str; 2] = ["baseline", "candidate"];

/// What is common to both sides.
pub(super) struct Shared {
    pub(super) tasks: Ref,
    pub(super) review_hour: Ref,
    pub(super) volume_growth: Ref,
    pub(super) token_growth: Ref,
}

/// What of a side others need.
pub(super) struct Worth {
    pub(super) attempts: Ref,
    pub(super) failed: Ref,
    pub(super) succeeds: Ref,
    pub(super) attempt_cost: Ref,
    pub(super) model_cost: Ref,
    pub(super) review_minutes: Ref,
    pub(super) review_cost: Ref,
    pub(super) undetected_cost: Ref,
    pub(super) price_change: Ref,
}

/// Why there is no answer to a "what if".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhatIfError {
    /// No cell has this name.
    #[error("no figure is called `{0}`")]
    NoCell(String),
    /// The cell is computed.
    #[error("`{id}` is computed: {formula}")]
    Computed {
        /// Its name.
        id: String,
        /// What it is computed from.
        formula: String,
    },
    /// The value cannot be.
    #[error("`{id}` cannot be {value}: {expected}")]
    Value {
        /// The cell's name.
        id: String,
        /// What was asked for.
        value: String,
        /// What can be.
        expected: &'static str,
    },
}

/// Every figure of a study, with other values for some inputs, by their names.
///
/// # Errors
/// When a name is no input's, or a value cannot be.
pub fn what_if(study: &Study, asked: &BTreeMap<String, Exact>) -> Result<Book, WhatIfError> {
    let book = build(Book::asking(study.date, asked.clone()), study);
    for (id, value) in asked {
        let cell = book.find(id).ok_or_else(|| WhatIfError::NoCell(id.clone()))?;
        if cell.formula.is_some() {
            return Err(WhatIfError::Computed { id: id.clone(), formula: cell.source.evidence.clone() });
        }
        let one = Exact::of(1);
        let is_change = ["growth.", "discount", "target_saving"].iter().any(|start| id.starts_with(start))
            || id.ends_with(".price_change");
        let (is_possible, expected) = match (cell.unit, is_change) {
            (_, true) => (&-&one < value, "a share above -1"),
            ("share", _) => (!value.is_negative() && *value <= one, "a share from 0 to 1"),
            _ => (!value.is_negative(), "at least 0"),
        };
        if !is_possible {
            return Err(WhatIfError::Value { id: id.clone(), value: value.to_string(), expected });
        }
    }
    Ok(book)
}

/// Every figure of a study.
#[must_use]
pub fn model(study: &Study) -> Book {
    build(Book::new(study.date), study)
}

fn build(mut book: Book, study: &Study) -> Book {
    let shared = Shared {
        tasks: book.input("tasks_per_month", ("Tasks in a month", "tasks/month"), &study.tasks),
        review_hour: book.input("review_hour", ("An hour of review", "$/hour"), &study.review_hour),
        volume_growth: book.input("growth.tasks", ("Growth of tasks in a month", "share"), &study.volume_growth),
        token_growth: book.input(
            "growth.tokens",
            ("Growth of tokens of a task in a month", "share"),
            &study.token_growth,
        ),
    };
    book.input("target_saving", ("Saving that is wanted", "share"), &study.target_saving);
    book.input("certainty", ("How sure of it", "share"), &study.certainty);
    let sides = [&study.baseline, &study.candidate];
    let worths = [0, 1].map(|idx| worth(&mut book, (SIDES[idx], sides[idx]), &shared));
    let totals = [0, 1].map(|idx| {
        let (own, other) = (&worths[idx], &worths[1 - idx]);
        items::items(&mut book, (SIDES[idx], sides[idx]), &shared, (own, other))
    });
    compare(&mut book, &shared, (&worths, &totals));
    horizon::horizon(&mut book, study, &shared, (&worths, &totals));
    book
}

/// What a task is worth and costs by itself.
fn worth(book: &mut Book, (id, side): (&str, &Side), shared: &Shared) -> Worth {
    let at = |name: &str| format!("{id}.{name}");
    let share = |book: &mut Book, name: &str, label: &str, quantity: &Quantity| {
        book.input(&at(name), (label, "share"), quantity)
    };
    let first = share(book, "first_pass", "Right at the first attempt", &side.first_pass);
    let wrong = || Expr::ONE - Expr::from(first);
    // `left` is the part that no attempt so far got right; a retry is made for exactly that part.
    let (mut left, mut attempts) = (wrong(), Expr::ONE);
    for (idx, retry) in side.retries.iter().enumerate() {
        attempts = attempts + left.clone();
        let retry = share(book, &format!("retry_{}", idx + 1), &format!("Right at retry {}", idx + 1), retry);
        left = left * (Expr::ONE - Expr::from(retry));
    }
    let attempts = book.derive(&at("attempts"), ("Attempts of a task", "attempts/task"), attempts);
    let failed = book.derive(&at("failed"), ("Wrong after every retry", "share"), left);
    let attempt_cost = attempt_cost(book, (id, &side.attempt));
    let model_cost =
        book.derive(&at("model_cost"), ("Attempts of a task at the vendor", "$/task"), attempts * attempt_cost);
    let price_change =
        book.input(&at("price_change"), ("Change of vendor prices in a month", "share"), &side.price_change);

    let review = &side.review;
    let sampled = share(book, "review.sampled", "Tasks that are sampled for review", &review.sampled.0);
    let minute = |book: &mut Book, name: &str, label: &str, quantity: &Quantity| {
        book.input(&at(name), (label, "minutes"), quantity)
    };
    let sampled_minutes = minute(book, "review.sampled_minutes", "Review of a sampled task", &review.sampled.1);
    let escalated = share(book, "review.escalated", "Failures that are escalated", &review.escalated.0);
    let escalated_minutes =
        minute(book, "review.escalated_minutes", "Review of an escalated failure", &review.escalated.1);
    let fixed = share(book, "review.fixed", "Escalated failures that people put right", &review.fixed);
    let minutes = sampled * sampled_minutes + failed * escalated * escalated_minutes;
    let review_minutes = book.derive(&at("review.minutes"), ("Review of a task", "minutes/task"), minutes);
    let review_cost = review_minutes * shared.review_hour / Expr::Whole(60);
    let review_cost = book.derive(&at("review.cost"), ("Review of a task", "$/task"), review_cost);
    let undetected = share(book, "undetected.share", "Tasks that fail unnoticed", &review.undetected.0);
    let bad = book.input(&at("undetected.cost"), ("A failure nobody notices", "$"), &review.undetected.1);
    let undetected_cost =
        book.derive(&at("undetected_cost_per_task"), ("Undetected failures of a task", "$/task"), undetected * bad);
    let succeeds = Expr::ONE - failed * (Expr::ONE - escalated * fixed);
    let succeeds = book.derive(&at("succeeds"), ("Tasks that end well", "share"), succeeds);
    Worth {
        attempts,
        failed,
        succeeds,
        attempt_cost,
        model_cost,
        review_minutes,
        review_cost,
        undetected_cost,
        price_change,
    }
}

/// A cell of 0 with its reason.
fn nothing(book: &mut Book, id: &str, label: (&str, &'static str), because: &Because) -> Ref {
    let evidence = format!("0 because {}", because.words);
    let source = Source { evidence, ..because.source.clone() };
    book.input(id, label, &Quantity { value: Some(Exact::of(0)), spread: None, source, line: None })
}

fn attempt_cost(book: &mut Book, (id, attempt): (&str, &Attempt)) -> Ref {
    let at = |name: &str| format!("{id}.{name}");
    let label = ("An attempt at the vendor", "$/attempt");
    let tokens = match attempt {
        Attempt::Nothing(because) => return nothing(book, &at("attempt"), label, because),
        Attempt::Dollars(quantity) => return book.input(&at("attempt"), label, quantity),
        Attempt::Tokens(tokens) => tokens,
    };
    let count = |book: &mut Book, name: &str, label: &str, quantity: &Quantity| {
        book.input(&at(name), (label, "tokens/attempt"), quantity)
    };
    let price = |book: &mut Book, name: &str, label: &str, quantity: &Quantity| {
        book.input(&at(name), (label, "$/million tokens"), quantity)
    };
    let input = count(book, "attempt.input_tokens", "Tokens that go in", &tokens.input);
    let output = count(book, "attempt.output_tokens", "Tokens that come out", &tokens.output);
    let input_price = price(book, "attempt.input_price", "Tokens that go in", &tokens.input_price);
    let output_price = price(book, "attempt.output_price", "Tokens that come out", &tokens.output_price);
    let whole = match &tokens.cached {
        None => input * input_price,
        Some((cached, cached_price)) => {
            let cached = count(book, "attempt.cached_tokens", "Of these, found in the cache", cached);
            let cached_price = price(book, "attempt.cached_price", "Cached tokens", cached_price);
            (input - cached) * input_price + cached * cached_price
        }
    };
    book.derive(&at("attempt"), label, (whole + output * output_price) / MILLION)
}

/// What the sides come to beside each other, and where they would be even.
fn compare(book: &mut Book, shared: &Shared, (worths, totals): (&[Worth; 2], &[items::Totals; 2])) {
    let per_task = [0, 1].map(|idx| {
        let (worth, total, tasks) = (&worths[idx], totals[idx].month, shared.tasks);
        let at = |name: &str| format!("{}.{name}", SIDES[idx]);
        let attempt = total / (tasks * worth.attempts);
        book.derive(&at("cost_per_attempt"), ("Everything, for an attempt", "$/attempt"), attempt);
        let accepted = total / (tasks * (Expr::ONE - Expr::from(worth.failed)));
        book.derive(
            &at("cost_per_accepted_answer"),
            ("Everything, for a right answer of the model", "$/answer"),
            accepted,
        );
        let formula = total / (tasks * worth.succeeds);
        book.derive(&at("cost_per_successful_task"), ("Cost of a successful task", "$/task"), formula)
    });
    let [baseline, candidate] = per_task;
    book.derive("delta.per_task", ("Candidate less baseline, for a successful task", "$/task"), candidate - baseline);
    book.derive("delta.share", ("The same, as a share of the baseline", "share"), candidate / baseline - Expr::ONE);
    book.derive("saving.share", ("Saving for a successful task", "share"), Expr::ONE - candidate / baseline);
    let [baseline, candidate] = [totals[0].month, totals[1].month];
    book.derive("saving.per_month", ("Saving in a month", "$/month"), baseline - candidate);
    book.derive(
        "saving.month_share",
        ("The same, as a share of the baseline", "share"),
        Expr::ONE - candidate / baseline,
    );
    even(book, shared, (worths, totals));
}

/// Break-evens by volume, quality and price of review: each the value of one input at which both sides cost the same for a successful
/// task, the rest as it is. A value that cannot be (below 0, a share above 1) says that there is none.
fn even(book: &mut Book, shared: &Shared, (worths, totals): (&[Worth; 2], &[items::Totals; 2])) {
    let ([b, c], [of_b, of_c]) = (worths, totals);
    let tokens = (of_c.fixed - of_b.fixed) / (of_b.tokens - of_c.tokens);
    book.derive("even.volume_tokens", ("Tasks a month at which tokens alone cost as much", "tasks/month"), tokens);
    let volume =
        (of_c.fixed * b.succeeds - of_b.fixed * c.succeeds) / (of_b.variable * c.succeeds - of_c.variable * b.succeeds);
    book.derive("even.volume", ("Tasks a month at which both cost the same", "tasks/month"), volume);

    // With x = 1 - p the candidate's cost is (a + x slope) and its successes 1 - x lost; both are read off at today's x.
    let baseline = book.at("baseline.cost_per_successful_task").map_or(Expr::Whole(0), Expr::from);
    let wrong = book.at("candidate.first_pass").map_or(Expr::Whole(0), |first| Expr::ONE - Expr::from(first));
    let repeated = Expr::from(c.attempts) - Expr::ONE;
    let escalated = Expr::from(c.review_cost) - Expr::from(of_c.sampling);
    let moves = repeated * c.attempt_cost + escalated;
    let moves =
        book.derive("even.moves", ("Of a candidate's task, what goes with its first failures", "$/task"), moves);
    let stays = of_c.month / shared.tasks - moves;
    let stays = book.derive("even.stays", ("Of a candidate's task, what does not", "$/task"), stays);
    let lost = Expr::ONE - Expr::from(c.succeeds);
    let quality = Expr::ONE - wrong.clone() * (baseline.clone() - stays) / (Expr::from(moves) + baseline * lost);
    let label = "First-pass success of the candidate at which both cost the same";
    book.derive("even.first_pass", (label, "share"), quality);

    let rest = |idx: usize| totals[idx].month / shared.tasks - worths[idx].review_cost;
    let minutes = b.review_minutes * c.succeeds - c.review_minutes * b.succeeds;
    let wage = (rest(1) * b.succeeds - rest(0) * c.succeeds) / minutes * Expr::Whole(60);
    let wage = book.derive("even.review_hour", ("An hour of review at which both cost the same", "$/hour"), wage);
    if let Some(minutes) = book.at("candidate.review.escalated_minutes") {
        let each = wage * minutes / Expr::Whole(60);
        book.derive("even.review", ("A review of a failure at which both cost the same", "$/review"), each);
    }
}

#[cfg(test)]
mod tests;
