//! Price files of others, turned into sheets. Every field of such a file ends as mapped, harmless or unsupported, and is
//! accounted for: nothing is dropped in silence.

mod genai;
mod litellm;
mod models_dev;
mod pattern;

use std::collections::BTreeMap;

use crate::date::Date;
use crate::decimal::Decimal;
use crate::json::Json;
use crate::meter::Meter;
use crate::sheet::{Provenance, Sheet, Stated};

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// LiteLLM's `model_prices_and_context_window.json`.
    LiteLlm,
    /// The `data.json` of genai-prices.
    GenaiPrices,
    /// The `api.json` of models.dev.
    ModelsDev,
}

/// What became of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It is in the sheet.
    Mapped,
    /// It says nothing about prices, or nothing that is not said elsewhere.
    Harmless,
    /// It is about prices and is not in the sheet.
    Unsupported,
}

impl Fate {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Fate::Mapped => "mapped",
            Fate::Harmless => "harmless",
            Fate::Unsupported => "unsupported",
        }
    }
}

/// One field and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The provider or model it stands in.
    pub owner: String,
    /// Its key, with dots between levels.
    pub key: String,
    /// What became of it.
    pub fate: Fate,
    /// Where it went, or why it did not.
    pub note: String,
}

/// A file turned into a sheet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The sheet.
    pub sheet: Sheet,
    /// Every field of the file.
    pub fields: Vec<Field>,
    /// Models that are not in the sheet, and why.
    pub left_out: Vec<(String, String)>,
}

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is not what it was said to be.
    #[error("this is not {0}")]
    Shape(&'static str),
}

/// Turns the text of a file into a sheet. `checked` is the day the file was fetched: such files do not say.
///
/// # Errors
/// When the text is not JSON or not of that format. What is wrong with a single model leaves that model out, with the reason.
pub fn import(format: Format, text: &str, checked: Date) -> Result<Imported, ImportError> {
    let tree = Json::parse(text)?;
    let mut import = Import { out: Imported::default(), checked };
    let is_read = match format {
        Format::LiteLlm => litellm::read(&mut import, &tree),
        Format::GenaiPrices => genai::read(&mut import, &tree),
        Format::ModelsDev => models_dev::read(&mut import, &tree),
    };
    match is_read {
        Some(()) => Ok(import.out),
        None => Err(ImportError::Shape(match format {
            Format::LiteLlm => "LiteLLM's model_prices_and_context_window.json: a map from model names to maps",
            Format::GenaiPrices => "the data.json of genai-prices: a list of providers",
            Format::ModelsDev => "the api.json of models.dev: a map from providers to maps with `models`",
        })),
    }
}

impl Imported {
    /// Fields by fate, key and note, with how often each occurs. Names within keys that the file's author chose are `*`.
    #[must_use]
    pub fn by_key(&self) -> BTreeMap<(Fate, &str, &str), usize> {
        let mut counts = BTreeMap::new();
        for field in &self.fields {
            *counts.entry((field.fate, field.key.as_str(), field.note.as_str())).or_default() += 1;
        }
        counts
    }

    /// How many fields ended so.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.fields.iter().filter(|field| field.fate == fate).count()
    }
}

/// An import under way.
struct Import {
    out: Imported,
    checked: Date,
}

impl Import {
    fn note(&mut self, owner: &str, key: impl Into<String>, fate: Fate, note: impl Into<String>) {
        self.out.fields.push(Field { owner: owner.to_owned(), key: key.into(), fate, note: note.into() });
    }

    fn leave_out(&mut self, owner: &str, why: impl Into<String>) {
        self.out.left_out.push((owner.to_owned(), why.into()));
    }

    fn stated(&self, source: impl Into<String>) -> Stated {
        Stated { source: source.into(), checked: self.checked, provenance: Provenance::List }
    }
}

/// The id a vendor has in sheets, whatever a file calls it.
fn vendor_id(name: &str) -> &str {
    match name {
        "xai" => "x-ai",
        "gemini" => "google",
        "bedrock" | "bedrock_converse" | "amazon-bedrock" => "aws",
        "together_ai" | "togetherai" => "together",
        "fireworks_ai" | "fireworks-ai" => "fireworks",
        "moonshot" => "moonshotai",
        other => other,
    }
}

/// Puts `amount` for `meter` in its place among `rates`; what was there goes.
fn set(rates: &mut Vec<(Meter, Decimal)>, meter: Meter, amount: Decimal) {
    match rates.iter_mut().find(|(other, _)| *other == meter) {
        Some(rate) => rate.1 = amount,
        None => rates.push((meter, amount)),
    }
}

/// `rates` with those of `own` over them.
fn merged(rates: &[(Meter, Decimal)], own: &[(Meter, Decimal)]) -> Vec<(Meter, Decimal)> {
    let mut all = rates.to_vec();
    for (meter, amount) in own {
        set(&mut all, *meter, *amount);
    }
    all
}

/// Whether every price is 0: in files made by many hands that means "not known" or "in a subscription" as often as "free".
fn is_free(rates: &[(Meter, Decimal)]) -> bool {
    rates.iter().all(|(_, amount)| amount.is_zero())
}

#[cfg(test)]
mod tests;
