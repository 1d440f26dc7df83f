//! Prices per meter, made ready to sum. All rates of a row are fractions over one denominator, so that a charge is integer
//! multiplications and additions, and one division at the very end.

use crate::decimal::Decimal;
use crate::meter::{Meter, Usage};

const NANOS: u128 = 1_000_000_000;

/// What one thing costs, in nano-dollars, as a fraction in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction {
    numerator: u128,
    denominator: u128,
}

impl Fraction {
    /// `numerator / denominator`; `None` when the denominator is 0.
    #[must_use]
    pub fn new(numerator: u128, denominator: u128) -> Option<Fraction> {
        let divisor = gcd(numerator, denominator);
        (denominator > 0).then(|| Fraction { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// A decimal.
    #[must_use]
    pub fn of(decimal: Decimal) -> Fraction {
        let (mantissa, scale) = decimal.parts();
        let (numerator, denominator) = (u128::from(mantissa), 10u128.pow(scale));
        let divisor = gcd(numerator, denominator);
        Fraction { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    /// Nano-dollars for one of `meter`, from dollars for so many as a sheet prices at once.
    pub(crate) fn per_one(dollars: Fraction, meter: Meter) -> Option<Fraction> {
        dollars.times(Fraction::new(NANOS, u128::from(meter.per()))?)
    }

    /// The product; `None` when it has too many digits.
    #[must_use]
    pub fn times(self, other: Fraction) -> Option<Fraction> {
        // Crosswise first, so that nothing overflows that need not.
        let one = Fraction::new(self.numerator, other.denominator)?;
        let two = Fraction::new(other.numerator, self.denominator)?;
        let numerator = one.numerator.checked_mul(two.numerator)?;
        Some(Fraction { numerator, denominator: one.denominator.checked_mul(two.denominator)? })
    }

    /// One over it; `None` for 0.
    #[must_use]
    pub fn inverse(self) -> Option<Fraction> {
        Fraction::new(self.denominator, self.numerator)
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Why rates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatesError {
    /// No meter has a price.
    #[error("no meter has a price")]
    Empty,
    /// The digits of the prices are too many to be summed exactly.
    #[error("the prices have more digits than can be summed exactly")]
    Digits,
    /// A tier is not above the one before.
    #[error("tiers go up: {0} comes after a tier that begins at or above it")]
    Order(u64),
    /// A marginal tier prices other meters than the base.
    #[error("a marginal tier prices `{0}`, which the tiers do not all price")]
    Uneven(Meter),
}

/// Why a call has no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Nobody wrote down prices for the vendor's model.
    #[error("no price is known for the model")]
    Model,
    /// Prices are known, but none for that day, hour and service.
    #[error("no price of the model holds at that time for that service")]
    Row,
    /// The answer did not say what it used.
    #[error("the answer did not say what it used")]
    Usage,
    /// Something was used that the row does not price.
    #[error("`{0}` was used and has no price")]
    Unpriced(Meter),
    /// The parts of what was used are more than the whole.
    #[error("more was used within `{0}` than of it")]
    Inconsistent(Meter),
    /// The row prices two meters but not what they have in common, and some was used.
    #[error("`{0}` was used, which two priced meters both count")]
    Overlap(Meter),
    /// More was used than can be summed.
    #[error("more was used than can be summed")]
    TooMuch,
}

impl Unknown {
    /// The word in records and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Unknown::Model => "unknown_model",
            Unknown::Row => "no_row_then",
            Unknown::Usage => "no_usage",
            Unknown::Unpriced(_) => "unpriced_meter",
            Unknown::Inconsistent(_) => "inconsistent_usage",
            Unknown::Overlap(_) => "ambiguous_usage",
            Unknown::TooMuch => "too_much",
        }
    }
}

/// How tiers by context length are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TierKind {
    /// A request whose input is above the bound pays the tier's prices for everything.
    #[default]
    WholeRequest,
    /// Of each meter, what is above the bound pays the tier's price; what is below pays the one below.
    Marginal,
}

impl TierKind {
    /// The word in sheets.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            TierKind::WholeRequest => "whole_request",
            TierKind::Marginal => "marginal",
        }
    }
}

/// The rates of one row, with its tiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rates {
    kind: TierKind,
    /// Base first. Each prices the deepest meters first.
    steps: Vec<Step>,
    denominator: u128,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// It holds for more than this.
    above: u64,
    prices: Vec<(Meter, u128)>,
}

impl Rates {
    /// Rates from nano-dollars per one of each meter; tiers in rising order, each whole.
    ///
    /// # Errors
    /// When they cannot be summed exactly, or a tier is out of order.
    pub fn new(
        kind: TierKind,
        base: &[(Meter, Fraction)],
        tiers: &[(u64, Vec<(Meter, Fraction)>)],
    ) -> Result<Rates, RatesError> {
        if base.is_empty() {
            return Err(RatesError::Empty);
        }
        let steps =
            || std::iter::once((0, base)).chain(tiers.iter().map(|(above, prices)| (*above, prices.as_slice())));
        let mut denominator = 1u128;
        for (_, fraction) in steps().flat_map(|(_, prices)| prices) {
            let factor = fraction.denominator / gcd(denominator, fraction.denominator);
            denominator = denominator.checked_mul(factor).ok_or(RatesError::Digits)?;
        }
        let mut rates = Rates { kind, steps: Vec::with_capacity(tiers.len() + 1), denominator };
        for (above, prices) in steps() {
            if rates.steps.last().is_some_and(|last| last.above >= above) {
                return Err(RatesError::Order(above));
            }
            let whole = |(meter, fraction): &(Meter, Fraction)| {
                let numerator = fraction.numerator.checked_mul(denominator / fraction.denominator);
                Ok((*meter, numerator.ok_or(RatesError::Digits)?))
            };
            let mut prices = prices.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
            prices.sort_by_key(|(meter, _)| (std::cmp::Reverse(meter.depth()), *meter));
            rates.steps.push(Step { above, prices });
        }
        if kind == TierKind::Marginal {
            rates.evenly()?;
        }
        Ok(rates)
    }

    fn evenly(&self) -> Result<(), RatesError> {
        let meters = |step: &Step| step.prices.iter().map(|(meter, _)| *meter).collect::<Vec<_>>();
        let base = meters(&self.steps[0]);
        for step in &self.steps[1..] {
            let own = meters(step);
            if let Some(meter) = base.iter().chain(&own).find(|meter| !base.contains(meter) || !own.contains(meter)) {
                return Err(RatesError::Uneven(*meter));
            }
        }
        Ok(())
    }

    /// What `usage` costs, in nano-dollars: summed exactly, rounded once, half up.
    pub(crate) fn charge(&self, usage: &Usage) -> Result<u64, Unknown> {
        let step = match self.kind {
            TierKind::WholeRequest => {
                self.steps.iter().rposition(|step| usage.get(Meter::Input) > step.above).unwrap_or(0)
            }
            TierKind::Marginal => 0,
        };
        let prices = &self.steps[step].prices;
        covered(prices, usage)?;
        let mut sum = 0u128;
        let mut own = [0u64; Meter::COUNT];
        for (idx, (meter, price)) in prices.iter().enumerate() {
            let mut within = prices[..idx].iter().filter(|(inner, _)| inner.is_within(*meter));
            let taken = within.try_fold(0u64, |taken, (inner, _)| taken.checked_add(own[*inner as usize]));
            let rest = taken.and_then(|taken| usage.get(*meter).checked_sub(taken));
            let n = rest.ok_or(Unknown::Inconsistent(*meter))?;
            own[*meter as usize] = n;
            let charge = match self.kind {
                TierKind::WholeRequest => u128::from(n).checked_mul(*price),
                TierKind::Marginal => self.marginal(idx, n),
            };
            sum = charge.and_then(|charge| sum.checked_add(charge)).ok_or(Unknown::TooMuch)?;
        }
        let rounded = sum.checked_add(self.denominator / 2).ok_or(Unknown::TooMuch)? / self.denominator;
        u64::try_from(rounded).map_err(|_| Unknown::TooMuch)
    }

    /// `n` of the meter at `idx`, each tier's part at its price.
    fn marginal(&self, idx: usize, n: u64) -> Option<u128> {
        let mut charge = 0u128;
        for (at, step) in self.steps.iter().enumerate().filter(|(_, step)| n > step.above || step.above == 0) {
            let end = self.steps.get(at + 1).map_or(n, |next| next.above.min(n));
            charge = charge.checked_add(u128::from(end - step.above).checked_mul(step.prices[idx].1)?)?;
        }
        Some(charge)
    }

    pub(crate) fn list_price(&self, meter: Meter, n: u64) -> Option<u64> {
        let (_, price) = self.steps[0].prices.iter().find(|(priced, _)| *priced == meter)?;
        let sum = u128::from(n).checked_mul(*price)?.checked_add(self.denominator / 2)?;
        u64::try_from(sum / self.denominator).ok()
    }

    /// The meters that have a price.
    pub(crate) fn meters(&self) -> impl Iterator<Item = Meter> {
        self.steps[0].prices.iter().map(|(meter, _)| *meter)
    }
}

/// Everything used has exactly one price.
fn covered(prices: &[(Meter, u128)], usage: &Usage) -> Result<(), Unknown> {
    // Who charges for the call or its time charges for all that was used.
    if prices.iter().all(|(priced, _)| priced.is_of_every_call()) {
        return Ok(());
    }
    let is_priced = |meter: Meter| prices.iter().any(|(priced, _)| *priced == meter);
    for (meter, _) in usage.counted().filter(|(meter, _)| !meter.is_of_every_call() && !is_priced(*meter)) {
        if !prices.iter().any(|(priced, _)| meter.is_within(*priced)) {
            return Err(Unknown::Unpriced(meter));
        }
        let mut around = prices.iter().map(|(priced, _)| *priced).filter(|priced| meter.is_within(*priced));
        if let Some(whole) = around.clone().find(|priced| usage.get(meter) > usage.get(*priced)) {
            return Err(Unknown::Inconsistent(whole));
        }
        let Some(first) = around.next() else { continue };
        // Priced meters around it are in one line, each within the next, or some of it would be charged twice.
        if let Some(shared) = around.find_map(|next| first.overlap(next)) {
            return Err(Unknown::Overlap(shared));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
