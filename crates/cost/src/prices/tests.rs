use super::*;
use crate::date::Date;

const SHEET: &str = r#"{
  "format": "crossfade-prices/1", "source": "https://example.com/prices", "checked": "2026-11-01",
  "vendors": {
    "acme": { "name": "Acme", "hosts": ["api.acme.example"] },
    "reseller": { "hosts": ["*.reseller.example"], "fallback": ["acme"] },
    "apart": { "reasoning_apart": true }
  },
  "currencies": { "EUR": { "usd": "1.10", "source": "a bank" } },
  "models": [
    { "vendor": "acme", "id": "one", "names": ["one", "one-####-##-##"], "prices": [
      { "service": "batch", "rates": { "input": 1, "output": 2 } },
      { "from": "2026-06-01", "rates": { "input": 2, "output": 4 } },
      { "to": "2026-06-01", "rates": { "input": 3, "output": 6 } } ] },
    { "vendor": "acme", "id": "night", "prices": [
      { "hours": { "offset": "+08:00", "windows": [{ "from": "22:00", "to": "06:00", "days": [1, 2, 3, 4, 5] }] },
        "rates": { "input": 1 } },
      { "rates": { "input": 10 } } ] },
    { "vendor": "reseller", "id": "own", "prices": [{ "currency": "EUR", "rates": { "input": 1 } }] },
    { "vendor": "apart", "id": "thinker", "prices": [{ "rates": { "input": 1, "output": 2 } }] }
  ]
}"#;

fn sheet() -> Sheet {
    Sheet::parse(SHEET).unwrap()
}

fn at(date: &str, seconds: i64) -> When {
    When(Date::parse(date).unwrap().0 * 86_400 + seconds)
}

fn check(vendor: &str, model: &str, service: &str, when: When) -> Result<u64, Unknown> {
    let (sheet, usage) = (sheet(), Usage::new().with(Meter::Input, 1_000));
    let prices = Prices::new(&[("test", &sheet)]).unwrap();
    price(&prices, Asked { vendor, model, service }, &usage, when).map(|cost| cost.nanos)
}

#[test]
fn a_row_holds_from_its_first_day_to_the_day_before_the_next() {
    let of = |date, seconds| check("acme", "ONE-2026-01-01", STANDARD, at(date, seconds));
    assert_eq!(of("2026-05-31", 86_399), Ok(3_000_000));
    assert_eq!(of("2026-06-01", 0), Ok(2_000_000));
    assert_eq!(of("1999-01-01", 0), Ok(3_000_000));
}

#[test]
fn a_service_has_its_own_rows() {
    let when = at("2026-11-25", 0);
    assert_eq!(check("acme", "one", "batch", when), Ok(1_000_000));
    assert_eq!(check("acme", "one", "priority", when), Err(Unknown::Row));
    assert_eq!(check("acme", "two", STANDARD, when), Err(Unknown::Model));
    assert_eq!(check("nobody", "one", STANDARD, when), Err(Unknown::Model));
}

#[test]
fn hours_are_those_of_their_clock_and_weekdays() {
    // 25 November 2026 is a Wednesday; 14:00 UTC is 22:00 at +08:00.
    let of = |date, hour: i64| check("acme", "night", STANDARD, at(date, hour * 3_600));
    assert_eq!(of("2026-11-25", 14), Ok(1_000_000));
    assert_eq!(of("2026-11-25", 13), Ok(10_000_000));
    assert_eq!(of("2026-11-25", 21), Ok(1_000_000));
    assert_eq!(of("2026-11-25", 22), Ok(10_000_000));
    // Friday 21:00 UTC is Saturday morning there.
    assert_eq!(of("2026-11-27", 21), Ok(10_000_000));
}

#[test]
fn a_reseller_has_its_own_prices_and_those_of_others() {
    let when = at("2026-11-25", 0);
    assert_eq!(check("reseller", "own", STANDARD, when), Ok(1_100_000));
    assert_eq!(check("reseller", "one", STANDARD, when), Ok(2_000_000));
}

#[test]
fn reasoning_counted_apart_is_charged_as_output() {
    let (sheet, usage) = (sheet(), Usage::new().with(Meter::Output, 10).with(Meter::Reasoning, 90));
    let prices = Prices::new(&[("test", &sheet)]).unwrap();
    let asked = |vendor, model| Asked { vendor, model, service: STANDARD };
    let cost = price(&prices, asked("apart", "thinker"), &usage, When(0)).unwrap();
    assert_eq!(cost.nanos, 200_000);
    assert_eq!(price(&prices, asked("acme", "one"), &usage, When(0)), Err(Unknown::Inconsistent(Meter::Output)));
}

#[test]
fn the_first_sheet_that_knows_a_model_prices_it() {
    let own = r#"{"source": "contract 7", "checked": "2026-11-02", "provenance": "contract",
        "models": [{"vendor": "acme", "id": "one", "prices": [{"rates": {"input": "0.5"}}]}]}"#;
    let (own, list) = (Sheet::parse(own).unwrap(), sheet());
    let prices = Prices::new(&[("config", &own), ("list", &list)]).unwrap();
    let row = |model| prices.tariff("acme", model).unwrap().rows()[0].id.to_string();
    assert!(row("one").starts_with("config:acme/one#"), "{}", row("one"));
    // A dated name is only in the list.
    assert!(row("one-2026-01-01").starts_with("list:acme/one/batch#"), "{}", row("one-2026-01-01"));
}

#[test]
fn a_row_id_changes_with_what_the_row_says() {
    let ids = |text: &str| {
        let sheet = Sheet::parse(text).unwrap();
        let prices = Prices::new(&[("test", &sheet)]).unwrap();
        let ids: Vec<String> =
            prices.tariffs().flat_map(|tariff| tariff.rows().iter().map(|row| row.id.to_string())).collect();
        ids
    };
    let (before, after) = (ids(SHEET), ids(&SHEET.replace(r#""input": 2,"#, r#""input": 2.5,"#)));
    let changed: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    let mut unique = before.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), before.len(), "{before:?}");
}

#[test]
fn vendors_are_found_by_their_hosts() {
    let sheet = sheet();
    let prices = Prices::new(&[("test", &sheet)]).unwrap();
    assert_eq!(prices.vendor_at("API.acme.example"), Some("acme"));
    assert_eq!(prices.vendor_at("eu.reseller.example"), Some("reseller"));
    for host in ["reseller.example", "evilreseller.example", "acme.example", ""] {
        assert_eq!(prices.vendor_at(host), None, "{host}");
    }
}

#[test]
fn a_currency_of_unknown_worth_is_refused() {
    let sheet = Sheet::parse(&SHEET.replace("\"EUR\", ", "\"CHF\", ")).unwrap();
    let errors = Prices::new(&[("test", &sheet)]).unwrap_err();
    let words = "test:reseller/own: nothing says what one CHF is worth; add it to `currencies`";
    assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [words]);
}

#[test]
fn the_shipped_sheet_is_sound_dated_and_sourced() {
    let sheet = Sheet::parse(crate::sheet::SHIPPED).unwrap();
    let prices = Prices::new(&[("shipped", &sheet)]).unwrap();
    let rows: Vec<_> = sheet.models.iter().flat_map(|model| &model.prices).collect();
    assert!(rows.len() >= 40, "{} rows", rows.len());
    for row in rows {
        assert!(row.stated.source.starts_with("https://"), "{}", row.stated.source);
    }
    let mut ids: Vec<_> = prices.tariffs().flat_map(|tariff| tariff.rows().iter().map(|row| row.id.clone())).collect();
    let n_rows = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), n_rows, "every row has its own id");
    // A model must not be hidden behind the pattern of another.
    for model in &sheet.models {
        let found = prices.tariff(&model.vendor, &model.id).unwrap();
        assert_eq!(found.model, model.id);
    }
}
