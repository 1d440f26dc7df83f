//! `crossfade prices list|show|import|check|spent`: what calls cost, as far as it is known.

mod check;
mod import;
mod spent;

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use cost::decimal::dollars;
use cost::sheet::{SHIPPED, STANDARD, Sheet};
use cost::{Meter, Prices, Row, Tariff, When};
use serde_json::{Value, json};

use super::Place;
use super::time::now_us;
use crate::load;
use crate::out::{Exit, Out, Stop, table};

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Models with known prices.
    List {
        /// Only this vendor.
        #[arg(long, value_name = "VENDOR")]
        vendor: Option<String>,
    },
    /// Every price row of a model: `VENDOR/MODEL`, or the name of a target of the config.
    Show {
        /// Which.
        #[arg(value_name = "VENDOR/MODEL|TARGET")]
        what: String,
    },
    /// Make a price sheet of a file of LiteLLM, genai-prices or models.dev; without `--output`, only say what would become of it.
    Import(import::Args),
    /// Price a usage by hand.
    Check(check::Args),
    /// What was paid, by target.
    Spent {
        /// Of so many days, today included.
        #[arg(long, value_name = "N", default_value_t = 30)]
        days: u32,
    },
}

/// Reads prices.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::List { vendor } => list(&known(place)?.0, vendor.as_deref(), out),
        Verb::Show { what } => {
            let tariff = find(&known(place)?, &what)?;
            Ok(show(&tariff, out))
        }
        Verb::Import(args) => import::run(&args, out),
        Verb::Check(args) => check::run(place, &args, out),
        Verb::Spent { days } => spent::run(place, days, out),
    }
}

/// What is known, and the targets of the config, when there is one.
type Known = (Arc<Prices>, Option<crate::config::Config>);

/// The prices of the config, or the shipped ones where there is no config.
fn known(place: &Place) -> Result<Known, Stop> {
    if place.config.exists() {
        let config = load::config(&place.config)?;
        return Ok((Arc::clone(&config.snapshot.prices.all), Some(config)));
    }
    let wrong = |words: String| Stop::failed(anyhow::anyhow!("the shipped price sheet cannot be read: {words}"));
    let sheet = Sheet::parse(SHIPPED).map_err(|errors| wrong(format!("{errors:?}")))?;
    let prices = Prices::new(&[("shipped", &sheet)]).map_err(|errors| wrong(format!("{errors:?}")))?;
    Ok((Arc::new(prices), None))
}

/// The rows of a target of the config, or of `VENDOR/MODEL`.
fn find((prices, config): &Known, what: &str) -> Result<Arc<Tariff>, Stop> {
    if let Some(config) = config
        && let Some(target) = config.snapshot.targets.get(what)
    {
        let found = config.snapshot.prices.tariff(what, &target.model);
        let hint = "give the target or its provider a `price`, see docs/reference/prices.md";
        return found.cloned().ok_or_else(|| Stop::usage(format!("no price is known for target `{what}`")).hint(hint));
    }
    let Some((vendor, model)) = what.split_once('/') else {
        let stop = Stop::usage(format!("`{what}` is no target of the config, nor VENDOR/MODEL"));
        return Err(stop.hint("`crossfade prices list` shows what is known"));
    };
    let found = prices.tariff(vendor, model).cloned();
    found.ok_or_else(|| {
        let stop = Stop::usage(format!("no price is known for `{model}` at `{vendor}`"));
        if prices.knows(vendor) {
            stop.hint(format!("`crossfade prices list --vendor {vendor}` shows what is"))
        } else {
            stop.hint(format!("known vendors: {}", prices.vendors().collect::<Vec<_>>().join(", ")))
        }
    })
}

fn list(prices: &Prices, vendor: Option<&str>, out: &Out) -> Result<Exit, Stop> {
    if let Some(vendor) = vendor
        && !prices.knows(vendor)
    {
        let known = prices.vendors().collect::<Vec<_>>().join(", ");
        return Err(Stop::usage(format!("no price sheet knows the vendor `{vendor}`")).hint(format!("known: {known}")));
    }
    let now = When::from_us(now_us());
    let chosen = || prices.tariffs().filter(|tariff| vendor.is_none_or(|vendor| tariff.vendor == vendor));
    let fact = |tariff: &Arc<Tariff>| {
        let row = tariff.row(now, STANDARD);
        json!({
            "vendor": tariff.vendor, "model": tariff.model, "rows": tariff.rows().len(),
            "row": row.map(|row| &row.id), "usd_per_million": row.map(per_million),
        })
    };
    let facts: Vec<Value> = chosen().map(fact).collect();
    let line = |tariff: &Arc<Tariff>| {
        let row = tariff.row(now, STANDARD);
        let million = |meter| row.map_or_else(|| "-".to_owned(), |row| one_million(row, meter).unwrap_or_else(dash));
        let mut cells = vec![tariff.vendor.clone(), tariff.model.clone()];
        cells.extend([Meter::Input, Meter::Cached, Meter::Output].map(million));
        cells.push(row.map_or_else(|| "none holds today".to_owned(), |row| row.id.to_string()));
        cells
    };
    out.answer(&facts, || {
        let lines: Vec<Vec<String>> = chosen().map(line).collect();
        table(&["vendor", "model", "input $/M", "cached $/M", "output $/M", "row that holds now"], &lines)
    });
    Ok(Exit::Ok)
}

fn dash() -> String {
    "-".to_owned()
}

/// What a million of a kind cost by themselves below any tier, in dollars.
fn one_million(row: &Row, meter: Meter) -> Option<String> {
    row.list_price(meter, 1_000_000).map(dollars)
}

fn per_million(row: &Row) -> Value {
    let price = |meter: Meter| one_million(row, meter).map(|text| (meter.as_str().to_owned(), text.into()));
    Value::Object(row.meters().filter_map(price).collect())
}

fn show(tariff: &Tariff, out: &Out) -> Exit {
    let now = When::from_us(now_us());
    let current = tariff.row(now, STANDARD).map(|row| row.id.clone());
    let rows: Vec<Value> = tariff
        .rows()
        .iter()
        .map(|row| {
            let said: Value = serde_json::from_str(&row.said.to_string()).unwrap_or_default();
            json!({ "id": row.id, "holds_now": current.as_ref() == Some(&row.id), "row": said })
        })
        .collect();
    let facts = json!({ "vendor": tariff.vendor, "model": tariff.model, "rows": rows });
    out.answer(&facts, || {
        let row = |row: &Row| {
            let mark = if current.as_ref() == Some(&row.id) { "   holds now" } else { "" };
            let said = row.said.pretty().lines().map(|line| format!("  {line}\n")).collect::<String>();
            format!("{}{mark}\n{said}", row.id)
        };
        tariff.rows().iter().map(row).collect::<Vec<_>>().join("\n")
    });
    Exit::Ok
}

/// The text of a file.
fn text_of(path: &Path) -> Result<String, Stop> {
    std::fs::read_to_string(path).map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))
}
