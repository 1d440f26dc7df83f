//! The knobs of a simulated provider.

use providers::simulated::{Distribution, Knobs, SimulatedConfig};

use crate::config::reader::Section;

/// `simulated: { seed: 7, error_rate: 0.01, time_to_first_token: { median: 20, sigma: 0.3 } }`; times in milliseconds.
pub(crate) fn read(section: &Section<'_>) -> SimulatedConfig {
    let section = section.section("simulated");
    let mut knobs = Knobs::default();
    let rate = |key, slot: &mut f64| {
        if let Some(share) = section.get(key).and_then(|item| item.share()) {
            *slot = share.value;
        }
    };
    rate("error_rate", &mut knobs.error_rate);
    rate("rate_limited_rate", &mut knobs.rate_limited_rate);
    rate("hang_rate", &mut knobs.hang_rate);
    rate("stall_rate", &mut knobs.stall_rate);
    rate("cut_rate", &mut knobs.cut_rate);
    rate("refusal_rate", &mut knobs.refusal_rate);
    rate("malformed_json_rate", &mut knobs.malformed_json_rate);
    rate("quality", &mut knobs.quality);
    rate("wrong_citation_rate", &mut knobs.wrong_citation_rate);
    rate("unfounded_rate", &mut knobs.unfounded_rate);
    let number = |key, from, to| section.get(key).and_then(|item| item.count(from, to));
    let small = |key, from, to| number(key, from, to).and_then(|n| u32::try_from(n).ok());
    knobs.tokens_per_chunk = small("tokens_per_chunk", 1, 10_000).unwrap_or(knobs.tokens_per_chunk);
    knobs.embedding_dimensions = small("embedding_dimensions", 1, 8192).unwrap_or(knobs.embedding_dimensions);
    let status = number("error_status", 400, 599).and_then(|n| u16::try_from(n).ok());
    knobs.error_status = status.unwrap_or(knobs.error_status);
    if let Some(capacity) = section.get("capacity").and_then(|item| item.number(1e-6, 1e9)) {
        knobs.capacity = capacity;
    }
    distribution(&section, "time_to_first_token", &mut knobs.time_to_first_token);
    distribution(&section, "time_per_output_token", &mut knobs.time_per_output_token);
    distribution(&section, "output_tokens", &mut knobs.output_tokens);
    let seed = number("seed", 0, u64::MAX).unwrap_or(0);
    section.finish();
    SimulatedConfig { seed, knobs }
}

fn distribution(section: &Section<'_>, key: &'static str, slot: &mut Distribution) {
    let section = section.section(key);
    if let Some(median) = section.get("median").and_then(|item| item.number(0.0, 3.6e6)) {
        slot.median = median;
    }
    if let Some(sigma) = section.get("sigma").and_then(|item| item.number(0.0, 3.0)) {
        slot.sigma = sigma;
    }
    section.finish();
}
