//! Prices usages by a file of another project. Used by `tests/cost`.
//!
//! `meter sheet FILE` prices by a sheet of ours; `meter FORMAT FILE [SHEET]` imports the file, writes the sheet out and reads it back (and keeps it, when `SHEET` says where),
//! and says on stderr what became of its fields.
//! Then, for every line on stdin (`{"vendor", "model", "service"?, "at", "usage": {meter: n}}`, `at` in Unix seconds) a line on
//! stdout: `{"nanos", "row"}` or `{"unknown", "why"}`.

use std::io::{BufRead, Write};

use cost::import::{Fate, Format, import};
use cost::json::Json;
use cost::sheet::{STANDARD, Sheet};
use cost::{Asked, Meter, Prices, Usage, When, date::Date, price};

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let mut args = std::env::args().skip(1);
    let (Some(format), Some(path)) = (args.next(), args.next()) else { return Err("meter FORMAT FILE [SHEET]".into()) };
    if format == "sheet" {
        let sheet = Sheet::parse(&std::fs::read_to_string(path)?).map_err(|errors| errors[0].to_string())?;
        return answer(&Prices::new(&[("sheet", &sheet)]).map_err(|errors| errors[0].to_string())?);
    }
    let format = match format.as_str() {
        "litellm" => Format::LiteLlm,
        "genai-prices" => Format::GenaiPrices,
        "models.dev" => Format::ModelsDev,
        _ => return Err("FORMAT is sheet, litellm, genai-prices or models.dev".into()),
    };
    let checked = Date::parse("2026-11-25").ok_or("a date")?;
    let imported = import(format, &std::fs::read_to_string(path)?, checked)?;
    let mut stderr = std::io::stderr().lock();
    for fate in [Fate::Mapped, Fate::Harmless, Fate::Unsupported] {
        writeln!(stderr, "{} {}", fate.as_str(), imported.count(fate))?;
    }
    for ((fate, key, note), n) in imported.by_key() {
        writeln!(stderr, "field {} {key} {n}: {note}", fate.as_str())?;
    }
    for (owner, why) in &imported.left_out {
        writeln!(stderr, "left out {owner}: {why}")?;
    }
    let written = imported.sheet.to_json().pretty();
    if let Some(path) = args.next() {
        std::fs::write(path, &written)?;
    }
    let sheet = Sheet::parse(&written).map_err(|errors| errors[0].to_string())?;
    if sheet != imported.sheet {
        return Err("the sheet written is not the sheet read".into());
    }
    let prices = Prices::new(&[("imported", &sheet)]).map_err(|errors| errors[0].to_string())?;
    writeln!(stderr, "models {} bytes {}", sheet.models.len(), written.len())?;
    answer(&prices)
}

fn answer(prices: &Prices) -> Result<(), Failed> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let query = Json::parse(&line?)?;
        let text = |key: &str| query.get(key).and_then(Json::as_str);
        let mut usage = Usage::new();
        for (name, n) in query.get("usage").map(Json::members).unwrap_or_default() {
            let meter = Meter::named(name).ok_or_else(|| format!("no meter is called {name}"))?;
            usage = usage.with(meter, n.as_number().and_then(|n| n.parse().ok()).ok_or("a count")?);
        }
        let asked = Asked {
            vendor: text("vendor").ok_or("vendor")?,
            model: text("model").ok_or("model")?,
            service: text("service").unwrap_or(STANDARD),
        };
        let at = query.get("at").and_then(Json::as_number).and_then(|at| at.parse().ok()).ok_or("at")?;
        match price(prices, asked, &usage, When(at)) {
            Ok(cost) => writeln!(stdout, "{}", serde_json::json!({ "nanos": cost.nanos, "row": cost.row }))?,
            Err(why) => {
                writeln!(stdout, "{}", serde_json::json!({ "unknown": why.as_str(), "why": why.to_string() }))?;
            }
        }
    }
    Ok(stdout.flush()?)
}
