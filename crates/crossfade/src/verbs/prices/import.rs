//! `crossfade prices import`: somebody else's file becomes a price sheet, and every field of it is accounted for.

use std::path::PathBuf;

use clap::ValueEnum;
use cost::date::Date;
use cost::import::{Fate, Format, Imported, import};
use serde_json::{Value, json};

use super::text_of;
use crate::out::{Exit, Out, Stop, table};

/// Models that are left out are named up to so many per reason.
const NAMED: usize = 5;

/// What is imported.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose file it is.
    #[arg(value_enum, value_name = "FORMAT")]
    whose: Whose,
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write the price sheet.
    #[arg(long, short, alias = "out", value_name = "SHEET")]
    output: Option<PathBuf>,
    /// The day the file was fetched; such files do not say. Default: the day it was last changed.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    checked: Option<Date>,
    /// Only these vendors.
    #[arg(long, value_name = "VENDOR", value_delimiter = ',')]
    vendor: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Whose {
    /// model_prices_and_context_window.json
    Litellm,
    /// data.json
    GenaiPrices,
    /// api.json
    #[value(name = "models.dev")]
    ModelsDev,
}

fn date(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| "expected a date such as `2026-11-25`".to_owned())
}

pub(super) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let format = match args.whose {
        Whose::Litellm => Format::LiteLlm,
        Whose::GenaiPrices => Format::GenaiPrices,
        Whose::ModelsDev => Format::ModelsDev,
    };
    let checked = match args.checked {
        Some(checked) => checked,
        None => changed(&args.file)?,
    };
    let mut imported = import(format, &text_of(&args.file)?, checked)
        .map_err(|error| Stop::usage(format!("{}: {error}", args.file.display())))?;
    if !args.vendor.is_empty() {
        let is_wanted = |vendor: &String| args.vendor.contains(vendor);
        imported.sheet.models.retain(|model| is_wanted(&model.vendor));
        imported.sheet.vendors.retain(|vendor| is_wanted(&vendor.id));
    }
    if let Some(path) = &args.output {
        let text = imported.sheet.to_json().pretty();
        std::fs::write(path, text).map_err(|error| {
            Stop::failed(error).hint(format!("the sheet goes to {}; can it be written?", path.display()))
        })?;
    }
    out.answer(&facts(&imported), || text(&imported));
    let n = imported.sheet.models.len();
    match &args.output {
        Some(path) => out.say(format_args!("{n} models are in {}; name it under `prices.files`", path.display())),
        None => out.say(format_args!("{n} models would be in the sheet; `--output SHEET` writes it")),
    }
    Ok(Exit::Ok)
}

/// The day a file was last changed.
fn changed(path: &std::path::Path) -> Result<Date, Stop> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let modified = modified.map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))?;
    let seconds = modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(cost::When(i64::try_from(seconds).unwrap_or(0)).date())
}

fn facts(imported: &Imported) -> Value {
    let fields = imported.by_key();
    let field = |((fate, key, note), n): (&(Fate, &str, &str), &usize)| json!({ "fate": fate.as_str(), "key": key, "note": note, "n": n });
    let left_out: Vec<Value> =
        imported.left_out.iter().map(|(model, why)| json!({ "model": model, "why": why })).collect();
    json!({
        "models": imported.sheet.models.len(),
        "mapped": imported.count(Fate::Mapped), "harmless": imported.count(Fate::Harmless),
        "unsupported": imported.count(Fate::Unsupported),
        "fields": fields.iter().map(field).collect::<Vec<_>>(), "left_out": left_out,
    })
}

fn text(imported: &Imported) -> String {
    let fields = imported.by_key();
    let row = |((fate, key, note), n): (&(Fate, &str, &str), &usize)| {
        vec![fate.as_str().to_owned(), (*key).to_owned(), n.to_string(), (*note).to_owned()]
    };
    let rows: Vec<Vec<String>> = fields.iter().map(row).collect();
    let mut text = table(&["", "field", "times", "where it went, or why not"], &rows);
    let mut reasons: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
    for (model, why) in &imported.left_out {
        reasons.entry(why).or_default().push(model);
    }
    if !reasons.is_empty() {
        text += "\nleft out\n";
    }
    for (why, models) in reasons {
        let more = if models.len() > NAMED { ", …" } else { "" };
        let named = models.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        text += &format!("  {} models: {why} ({named}{more})\n", models.len());
    }
    let count = |fate| imported.count(fate);
    text += &format!(
        "\n{} fields mapped, {} harmless, {} unsupported\n",
        count(Fate::Mapped),
        count(Fate::Harmless),
        count(Fate::Unsupported)
    );
    text
}
