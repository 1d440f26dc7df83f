use super::*;

#[track_caller]
fn check(models: &str, expected: &[&str]) {
    let text = format!(r#"{{"source": "s", "checked": "2026-11-01", "models": {models}}}"#);
    let errors = Sheet::parse(&text).unwrap_err();
    assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn every_problem_has_its_place() {
    check(
        r#"[{"vendor": "a", "id": "m", "prices": [
            {"rates": {"input": -1, "inptu": 2}},
            {"rates": {"input": 1}, "from": "2026-02-30", "sevice": "batch"},
            {"rates": {"input": 1}, "tiers": {"steps": [{"above": 5, "rates": {}}, {"above": 5, "rates": {}}]}},
            {"from": "2026-02-02", "to": "2026-02-01", "rates": {"input": 1, "input": 2}}]}]"#,
        &[
            "models[0].prices[0].rates.input: expected a decimal of at most 19 digits, not negative, found `-1`",
            &format!("models[0].prices[0].rates.inptu: unknown meter; known are {}", meters()),
            "models[0].prices[1].sevice: unknown key; known here: from, to, service, hours, currency, rates, tiers, gpu, \
             source, checked, provenance, note",
            "models[0].prices[1].from: expected a date such as `2026-11-25`, found `2026-02-30`",
            "models[0].prices[2].tiers: `kind` is missing",
            "models[0].prices[2].tiers.steps[1]: steps go up, each above the one before and above 0",
            "models[0].prices[3]: `to` is the first day the price no longer holds: it comes after `from`",
            "models[0].prices[3].rates.input: written twice",
        ],
    );
}

fn meters() -> String {
    Meter::ALL.map(Meter::as_str).join(", ")
}

#[test]
fn the_hours_of_a_server_are_complete_or_refused() {
    check(
        r#"[{"vendor": "a", "id": "m", "prices": [
            {"gpu": {"hour": 3, "gpus": 0, "utilization": 1.5, "tokens_per_second": {"input": 0}}},
            {"gpu": {"hour": 3}},
            {"gpu": {"hour": 3, "concurrent_requests": 4}, "rates": {"input": 1}}]}]"#,
        &[
            "models[0].prices[0].gpu.gpus: expected a number of GPUs, at least 1, found `0`",
            "models[0].prices[0].gpu.utilization: expected a share above 0 and at most 1, found `1.5`",
            "models[0].prices[0].gpu.tokens_per_second.input: expected a decimal above 0, found `0`",
            "models[0].prices[0].gpu.tokens_per_second: `output` is missing",
            "models[0].prices[1].gpu: one of `tokens_per_second` and `concurrent_requests` says how hours are shared out",
            "models[0].prices[2]: one of `rates` and `gpu` says what is charged",
        ],
    );
}

#[test]
fn a_price_without_source_or_date_is_refused() {
    let errors = Sheet::parse(r#"{"models": [{"vendor": "a", "id": "m", "prices": [{"rates": {"input": 1}}]}]}"#);
    let words: Vec<_> = errors.unwrap_err().iter().map(ToString::to_string).collect();
    let expected = ["source", "checked"].map(|key| format!("models[0].prices[0]: `{key}` is missing, here and above"));
    assert_eq!(words, expected);
}

#[test]
fn what_is_no_sheet_says_so() {
    let of = |text: &str| Sheet::parse(text).unwrap_err()[0].to_string();
    assert!(of("{").starts_with("not JSON: "), "{}", of("{"));
    assert_eq!(of("[]"), "expected a map, found a list");
    assert_eq!(of(r#"{"format": "other"}"#), "format: expected `crossfade-prices/1`, found `other`");
}

#[test]
fn a_sheet_written_is_the_sheet_read() {
    let text = r#"{ "format": "crossfade-prices/1", "source": "s", "checked": "2026-11-01",
      "vendors": { "a": { "name": "A", "hosts": ["a.example"], "fallback": ["b"], "reasoning_apart": true } },
      "currencies": { "EUR": { "usd": 1.1 } },
      "models": [
        { "vendor": "a", "id": "m*", "names": { "all": ["x*", { "not": ["xy", "x\\*"] }] }, "provenance": "contract",
          "prices": [
          { "from": "2026-01-01", "to": "2026-02-01", "service": "flex", "currency": "EUR", "note": "n",
            "hours": { "offset": "-05:30", "windows": [{ "from": "23:00", "to": "01:00", "days": [7] }] },
            "rates": { "input": "0.10", "output": 1e-3 },
            "tiers": { "kind": "marginal", "steps": [{ "above": 9, "rates": { "input": 2, "output": 1 } }] } },
          { "provenance": "measured", "gpu": { "hour": 2.99, "gpus": 2, "utilization": 0.6,
            "tokens_per_second": { "input": 8000, "cached": 80000, "output": 1200 } } },
          { "gpu": { "hour": 2.99, "concurrent_requests": 16 } } ] } ] }"#;
    let sheet = Sheet::parse(text).unwrap();
    let written = sheet.to_json();
    assert_eq!(Sheet::read(&written).unwrap(), sheet);
    assert_eq!(Sheet::parse(&written.pretty()).unwrap(), sheet);
    assert_eq!(sheet.models[0].prices.len(), 3);
    assert_eq!(sheet.models[0].prices[2].stated.provenance, Provenance::Contract);
}
