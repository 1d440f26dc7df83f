use std::collections::BTreeSet;

use super::*;
use crate::date::When;
use crate::meter::Usage;
use crate::prices::{Asked, Prices, price};
use crate::rates::Unknown;
use crate::sheet::STANDARD;

const CHECKED: Date = Date(20_782);

fn imported(format: Format, text: &str) -> Imported {
    let imported = import(format, text, CHECKED).unwrap();
    assert_eq!(Sheet::parse(&imported.sheet.to_json().pretty()).unwrap(), imported.sheet);
    imported
}

fn cost(sheet: &Sheet, at: (&str, &str, &str), counts: &[(Meter, u64)], when: When) -> Result<u64, Unknown> {
    let prices = Prices::new(&[("imported", sheet)]).unwrap();
    let usage = counts.iter().fold(Usage::new(), |usage, (meter, n)| usage.with(*meter, *n));
    let (vendor, model, service) = at;
    price(&prices, Asked { vendor, model, service }, &usage, when).map(|cost| cost.nanos)
}

fn fates(imported: &Imported) -> Vec<String> {
    imported.by_key().into_iter().map(|((fate, key, note), n)| format!("{} {key} {n}: {note}", fate.as_str())).collect()
}

const LITELLM: &str = r#"{
  "sample_spec": { "litellm_provider": "one of many", "input_cost_per_token": 0.0 },
  "acme/big": { "litellm_provider": "acme", "mode": "chat", "source": "https://acme.example/prices",
    "input_cost_per_token": 2e-06, "output_cost_per_token": 1.2e-05, "cache_read_input_token_cost": 2e-07,
    "cache_creation_input_token_cost": 2.5e-06, "cache_creation_input_token_cost_above_1hr": 4e-06,
    "input_cost_per_token_above_200k_tokens": 4e-06, "output_cost_per_token_above_200k_tokens": 1.8e-05,
    "cache_read_input_token_cost_above_200k_tokens": 4e-07,
    "input_cost_per_token_batches": 1e-06, "output_cost_per_token_batches": 6e-06,
    "input_cost_per_token_priority": 4e-06, "output_cost_per_token_priority": 2.4e-05,
    "input_cost_per_token_above_200k_tokens_priority": 8e-06,
    "cache_creation_input_token_cost_above_12hr_above_272k_tokens_flex": 1e-06,
    "search_context_cost_per_query": { "search_context_size_low": 0.01, "search_context_size_high": 0.01 },
    "max_input_tokens": 1000000, "supports_vision": true, "brand_new_cost": 1, "brand_new": 1 },
  "acme/ranged": { "litellm_provider": "acme", "mode": "chat", "tiered_pricing": [
    { "range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 5e-06, "cache_read_input_token_cost": 1e-07 },
    { "range": [32000.0, 128000.0], "input_cost_per_token": 2e-06, "output_cost_per_token": 9e-06 } ] },
  "xai/inclusive": { "litellm_provider": "xai", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
    "input_cost_per_token_above_128k_tokens": 3e-06 },
  "night": { "litellm_provider": "deepseek", "mode": "chat", "input_cost_per_token": 3e-07, "output_cost_per_token": 1.2e-06,
    "off_peak_pricing": { "input_cost_per_token": 1.5e-07, "weekday_timezone": "Asia/Shanghai",
      "windows": [{ "hours_utc": ["10:00-00:00"], "weekdays": [1, 2, 3, 4, 5] }] } },
  "free": { "litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 0.0, "output_cost_per_token": 0 },
  "movie": { "litellm_provider": "acme", "mode": "video_generation", "output_cost_per_second": 0.5 },
  "odd": { "litellm_provider": "acme", "mode": "chat", "input_cost_per_token": -1, "output_cost_per_token": 1e-06 }
}"#;

#[test]
fn litellm_prices_are_what_litellm_charges() {
    let imported = imported(Format::LiteLlm, LITELLM);
    let of = |model: &str, service: &str, counts: &[(Meter, u64)]| {
        let vendor = if model == "inclusive" { "x-ai" } else { "acme" };
        cost(&imported.sheet, (vendor, model, service), counts, When(0)).unwrap()
    };
    let small = [(Meter::Input, 1_000), (Meter::Cached, 400), (Meter::Output, 10)];
    assert_eq!(of("big", STANDARD, &small), 600 * 2_000 + 400 * 200 + 10 * 12_000);
    assert_eq!(
        of("acme/big", STANDARD, &[(Meter::Input, 9), (Meter::CacheWrite, 9), (Meter::CacheWrite1h, 4)]),
        5 * 2_500 + 4 * 4_000
    );
    let long = [(Meter::Input, 200_001), (Meter::Output, 10)];
    assert_eq!(of("big", STANDARD, &long), 200_001 * 4_000 + 10 * 18_000);
    assert_eq!(of("big", "batch", &long), 200_001 * 1_000 + 10 * 6_000);
    assert_eq!(of("big", "priority", &small), 600 * 4_000 + 400 * 200 + 10 * 24_000);
    // Its own price for input above the bound; for output, LiteLLM falls back to the standard one of the tier.
    assert_eq!(of("big", "priority", &long), 200_001 * 8_000 + 10 * 18_000);
    assert_eq!(of("big", STANDARD, &[(Meter::WebSearches, 3)]), 30_000_000);
    // What a range does not price it charges as input.
    let cached = |n| [(Meter::Input, n), (Meter::Cached, 1_000)];
    assert_eq!(of("ranged", STANDARD, &cached(32_000)), 31_000 * 1_000 + 1_000 * 100);
    assert_eq!(of("ranged", STANDARD, &cached(32_001)), 32_001 * 2_000);
    assert_eq!(of("ranged", STANDARD, &cached(999_000)), 999_000 * 2_000);
    assert_eq!(of("inclusive", STANDARD, &[(Meter::Input, 127_999)]), 127_999 * 1_000);
    assert_eq!(of("inclusive", STANDARD, &[(Meter::Input, 128_000)]), 128_000 * 3_000);
}

#[test]
fn litellm_off_peak_hours_are_kept() {
    let imported = imported(Format::LiteLlm, LITELLM);
    let at = |hour: i64| {
        // Wednesday 25 November 2026; in Shanghai the 26th begins at 16:00 UTC.
        let when = When(CHECKED.0 * 86_400 + hour * 3_600);
        cost(&imported.sheet, ("deepseek", "night", STANDARD), &[(Meter::Input, 1_000)], when).unwrap()
    };
    assert_eq!([9, 10, 23, 24].map(at), [300_000, 150_000, 150_000, 300_000]);
    // Friday 17:00 UTC is Saturday in Shanghai.
    assert_eq!(at(2 * 24 + 17), 300_000);
}

#[test]
fn litellm_fields_are_all_accounted_for() {
    let imported = imported(Format::LiteLlm, LITELLM);
    let tree = Json::parse(LITELLM).unwrap();
    let n_fields: usize =
        tree.members().iter().map(|(name, model)| if name == "sample_spec" { 1 } else { model.members().len() }).sum();
    assert_eq!(imported.fields.len(), n_fields);
    let fates = fates(&imported);
    for expected in [
        "unsupported brand_new 1: unknown key",
        "unsupported brand_new_cost 1: a price of something that is not metered",
        "unsupported cache_creation_input_token_cost_above_12hr_above_272k_tokens_flex 1: caches kept for twelve hours are not metered apart",
        "unsupported input_cost_per_token 1: not a price: the model is left out",
        "unsupported output_cost_per_second 1: a price of something that is not metered",
        "mapped cache_creation_input_token_cost_above_1hr 1: rates.cache_write_1h",
        "harmless supports_vision 1: not about prices",
    ] {
        assert!(fates.iter().any(|line| line == expected), "{expected}\n{}", fates.join("\n"));
    }
    let left_out: BTreeSet<_> = imported.left_out.iter().map(|(model, why)| format!("{model}: {why}")).collect();
    let expected = [
        "free: every price is 0: free, unknown or part of a subscription",
        "movie: it has no price that is metered",
        "odd: its `input_cost_per_token` is not a price",
    ];
    assert_eq!(left_out, expected.map(str::to_owned).into());
    assert_eq!(imported.sheet.models[0].prices[0].stated.source, "https://acme.example/prices (by LiteLLM)");
}

const GENAI: &str = r#"[ { "id": "acme", "name": "Acme", "api_pattern": "https://api\\.acme\\.example", "pricing_urls": ["https://acme.example"],
  "model_match": { "contains": "acme" }, "fallback_model_providers": ["other"], "novelty": 1,
  "extractors": [{ "api_flavor": "chat", "mappings": [{ "path": ["completion_tokens_details", "reasoning_tokens"], "dest": "output_tokens" }] }],
  "models": [
    { "id": "one", "name": "One", "match": { "or": [{ "equals": "one" }, { "regex": "^one-\\d{4}$" }] },
      "prices": [
        { "prices": { "input_mtok": { "base": 1, "tiers": [{ "start": 1000, "price": 3 }] }, "output_mtok": 2, "requests_kcount": 5 } },
        { "constraint": { "start_date": "2026-06-01" }, "prices": { "input_mtok": 4, "output_mtok": 5 } },
        { "constraint": { "start_time": "22:00:00Z", "end_time": "02:00:00Z" }, "prices": { "input_mtok": 0.5, "output_mtok": 5 } } ],
      "price_variants": [
        { "when": { "processing": "batch" }, "prices": { "input_mtok": 2 } },
        { "when": { "search_type": "fast" }, "prices": { "input_mtok": 2 } } ] },
    { "id": "strange", "match": { "equals": "strange" }, "prices": { "input_mtok": 1, "input_smells": 2 } },
    { "id": "lost", "match": { "regex": "\\w+" }, "prices": { "input_mtok": 1 } },
    { "id": "none", "match": { "starts_with": "none" }, "prices": {} } ] } ]"#;

#[test]
fn genai_rows_hold_when_their_conditions_do() {
    let imported = imported(Format::GenaiPrices, GENAI);
    let of = |service: &str, n: u64, date: &str, hour: i64| {
        let when = When(Date::parse(date).unwrap().0 * 86_400 + hour * 3_600);
        cost(&imported.sheet, ("acme", "one-2026", service), &[(Meter::Input, n)], when)
    };
    assert_eq!(of(STANDARD, 1_000, "2026-01-01", 12), Ok(1_000_000 + 5_000_000));
    assert_eq!(of(STANDARD, 1_001, "2026-01-01", 12), Ok(3_003_000 + 5_000_000));
    assert_eq!(of(STANDARD, 1_000, "2026-06-01", 12), Ok(4_000_000));
    assert_eq!(of(STANDARD, 1_000, "2026-06-01", 23), Ok(500_000));
    assert_eq!(of(STANDARD, 1_000, "2026-01-01", 1), Ok(500_000));
    // The variant has one price for input, without the tier of the standard one, and the standard price per request.
    assert_eq!(of("batch", 1_001, "2026-01-01", 12), Ok(2_002_000 + 5_000_000));
    assert_eq!(of("flex", 1, "2026-01-01", 12), Err(Unknown::Row));
}

#[test]
fn genai_fields_are_all_accounted_for() {
    let imported = imported(Format::GenaiPrices, GENAI);
    let left_out: Vec<_> = imported.left_out.iter().map(|(model, why)| format!("{model}: {why}")).collect();
    let expected = [
        "acme/strange: it has a price for `input_smells`, which is not metered",
        "acme/lost: no glob is for the same names as its pattern",
        "acme/none: it has no prices",
    ];
    assert_eq!(left_out, expected);
    let unsupported: Vec<_> = imported
        .fields
        .iter()
        .filter(|field| field.fate == Fate::Unsupported)
        .map(|field| field.key.as_str())
        .collect();
    assert_eq!(unsupported, ["provider.novelty", "price_variants[]", "prices.input_smells", "model.match"]);
    let vendor = &imported.sheet.vendors[0];
    assert!(vendor.reasoning_apart && vendor.hosts == ["api.acme.example"] && vendor.fallback == ["other"]);
}

const MODELS_DEV: &str = r#"{ "acme": { "id": "acme", "name": "Acme", "env": ["ACME_KEY"], "npm": "x", "api": "https://api.acme.example/v1",
  "doc": "https://acme.example/docs", "models": {
    "one": { "id": "one", "name": "One", "reasoning": true, "limit": { "context": 1 }, "mystery": 1,
      "cost": { "input": 2.5, "output": 15, "cache_read": 0.25, "reasoning": 20,
        "tiers": [{ "tier": { "type": "context", "size": 272000 }, "input": 5, "output": 22.5, "cache_read": 0.5 }],
        "context_over_200k": { "input": 5, "output": 22.5 } },
      "experimental": { "modes": { "fast": { "cost": { "input": 5, "output": 30 }, "provider": { "body": { "service_tier": "priority" } } } } } },
    "old": { "id": "old", "cost": { "input": 1, "output": 2, "context_over_200k": { "input": 3 } } },
    "planned": { "id": "planned", "cost": { "input": 0, "output": 0 } },
    "open": { "id": "open" },
    "new": { "id": "new", "cost": { "input": 1, "output": 2, "video": 3 } } } } }"#;

#[test]
fn models_dev_costs_become_rows() {
    let imported = imported(Format::ModelsDev, MODELS_DEV);
    let of = |model, service, counts: &[(Meter, u64)]| {
        cost(&imported.sheet, ("acme", model, service), counts, When(0)).unwrap()
    };
    let thinking = [(Meter::Input, 1_000), (Meter::Output, 100), (Meter::Reasoning, 60)];
    assert_eq!(of("one", STANDARD, &thinking), 1_000 * 2_500 + 40 * 15_000 + 60 * 20_000);
    assert_eq!(of("one", STANDARD, &[(Meter::Input, 272_001), (Meter::Cached, 1)]), 272_000 * 5_000 + 500);
    assert_eq!(of("one", "priority", &[(Meter::Input, 1)]), 5_000);
    assert_eq!(of("old", STANDARD, &[(Meter::Input, 200_001), (Meter::Output, 1)]), 200_001 * 3_000 + 2_000);
    let left_out: Vec<_> = imported.left_out.iter().map(|(model, why)| format!("{model}: {why}")).collect();
    let expected = [
        "acme/planned: every price is 0: free, unknown or part of a subscription",
        "acme/open: it has no prices",
        "acme/new: it has a price for `video`, which is not metered",
    ];
    assert_eq!(left_out, expected);
    let unsupported: Vec<_> = imported
        .fields
        .iter()
        .filter(|field| field.fate == Fate::Unsupported)
        .map(|field| field.key.as_str())
        .collect();
    assert_eq!(unsupported, ["model.mystery", "cost.video"]);
}

#[test]
fn another_file_is_refused() {
    let of = |format, text| import(format, text, CHECKED).unwrap_err().to_string();
    assert!(of(Format::LiteLlm, "[]").starts_with("this is not LiteLLM's"));
    assert!(of(Format::LiteLlm, MODELS_DEV).starts_with("this is not LiteLLM's"));
    assert!(of(Format::GenaiPrices, LITELLM).starts_with("this is not the data.json of genai-prices"));
    assert!(of(Format::ModelsDev, LITELLM).starts_with("this is not the api.json of models.dev"));
    assert!(of(Format::ModelsDev, "{").starts_with("not JSON"));
}
