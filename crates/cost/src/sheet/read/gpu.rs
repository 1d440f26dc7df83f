//! The `gpu` of a row.

use super::place::At;
use crate::decimal::Decimal;
use crate::gpu::{Basis, GpuHours};

pub(super) fn read(at: At<'_>) -> Option<GpuHours> {
    let map = at.map(&["hour", "gpus", "utilization", "tokens_per_second", "concurrent_requests"])?;
    let per_hour = map.need("hour").and_then(|item| item.decimal());
    let count = |text: &str| text.parse().ok().filter(|n| (1..=100_000).contains(n));
    let gpus = map.get("gpus").map_or(Some(1), |item| item.parsed("a number of GPUs, at least 1", count));
    let share = |text: &str| Decimal::parse(text).filter(|share| !share.is_zero() && *share <= Decimal::ONE);
    let utilization = match map.get("utilization") {
        Some(item) => item.parsed("a share above 0 and at most 1", share),
        None => Some(Decimal::ONE),
    };
    let basis = match (map.get("tokens_per_second"), map.get("concurrent_requests")) {
        (Some(item), None) => throughput(item),
        (None, Some(item)) => item.positive().map(|concurrent_requests| Basis::Time { concurrent_requests }),
        _ => {
            map.wrong("one of `tokens_per_second` and `concurrent_requests` says how hours are shared out");
            None
        }
    };
    Some(GpuHours { per_hour: per_hour?, gpus: gpus?, utilization: utilization?, basis: basis? })
}

fn throughput(at: At<'_>) -> Option<Basis> {
    let map = at.map(&["input", "cached", "output"])?;
    let need = |key| map.need(key).and_then(|item| item.positive());
    let (input, output) = (need("input"), need("output"));
    let cached = map.get("cached").and_then(|item| item.positive());
    Some(Basis::Throughput { input: input?, cached, output: output? })
}
