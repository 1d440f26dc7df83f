//! `tiered_pricing`: a list of ranges of input tokens, each with all its prices. The whole request pays those of its range; what
//! a range does not price it charges as input; above the last range the last goes on.

use super::{Rates, set};
use crate::decimal::Decimal;
use crate::json::Json;
use crate::meter::Meter;

/// The ranges by where they begin; `None` when it is not a list of ranges of tokens.
pub(super) fn read(value: &Json) -> Option<Vec<(u64, Rates)>> {
    let mut ranges = Vec::new();
    for tier in value.as_array()? {
        let mut begin = None;
        let mut rates = Rates::new();
        for (key, value) in tier.members() {
            let meter = match key.as_str() {
                "range" => {
                    begin = whole(value.as_array()?.first()?.as_number()?);
                    continue;
                }
                "input_cost_per_token" => Meter::Input,
                "output_cost_per_token" => Meter::Output,
                "output_cost_per_reasoning_token" => Meter::Reasoning,
                "cache_read_input_token_cost" => Meter::Cached,
                "cache_creation_input_token_cost" => Meter::CacheWrite,
                _ => return None,
            };
            set(&mut rates, meter, Decimal::parse(value.as_number()?)?.times(1_000_000)?);
        }
        ranges.push((begin?, rates));
    }
    ranges.sort_by_key(|(begin, _)| *begin);
    // Every range prices the same meters, so that none goes on from the one below.
    let meters: Vec<Meter> = ranges.iter().flat_map(|(_, rates)| rates.iter().map(|(meter, _)| *meter)).collect();
    for (_, rates) in &mut ranges {
        let of = |rates: &Rates, wanted| rates.iter().find(|(meter, _)| *meter == wanted).map(|(_, amount)| *amount);
        for meter in &meters {
            let instead = if *meter == Meter::Reasoning { Meter::Output } else { Meter::Input };
            if of(rates, *meter).is_none()
                && *meter != Meter::Output
                && let Some(amount) = of(rates, instead)
            {
                set(rates, *meter, amount);
            }
        }
    }
    (ranges.first()?.0 == 0).then_some(ranges)
}

/// A bound, which may be written `256000.0`.
fn whole(text: &str) -> Option<u64> {
    Decimal::parse(text)?.to_string().parse().ok()
}
