//! Several sheets, resolved: who sells what, and the rows that price it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::date::When;
use crate::decimal::Decimal;
use crate::meter::{Meter, Usage};
use crate::pattern::Match;
use crate::rates::{Fraction, Rates, RatesError, TierKind, Unknown};
use crate::row::{Cost, GpuHour, Row};
use crate::sheet::{Charges, Model, Price, STANDARD, Sheet};

/// What is asked for, and from whom.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The vendor's id.
    pub vendor: &'a str,
    /// The model as the vendor calls it.
    pub model: &'a str,
    /// The kind of service.
    pub service: &'a str,
}

/// The price of a call.
///
/// # Errors
/// When it is not known; see [`Unknown`].
pub fn price<'a>(prices: &'a Prices, asked: Asked<'_>, usage: &Usage, when: When) -> Result<Cost<'a>, Unknown> {
    let tariff = prices.tariff(asked.vendor, asked.model).ok_or(Unknown::Model)?;
    tariff.price(usage, when, asked.service)
}

/// The rows of one model at one vendor. Found once, when a config is read; pricing a call looks at nothing else.
#[derive(Debug, PartialEq, Eq)]
pub struct Tariff {
    /// The vendor's id.
    pub vendor: String,
    /// The model's id in the sheet.
    pub model: String,
    rows: Vec<Row>,
}

impl Tariff {
    /// A tariff of one row, for a self-hosted target.
    ///
    /// # Errors
    /// When the row's figures cannot be used.
    pub fn of_one(vendor: &str, model: &str, price: &Price) -> Result<Tariff, RatesError> {
        let row = resolve(&format!("config:{vendor}/{model}"), price, Fraction::of(Decimal::ONE), false)?;
        Ok(Tariff { vendor: vendor.to_owned(), model: model.to_owned(), rows: vec![row] })
    }

    /// The row that holds at `when` for `service`: the first that does.
    #[must_use]
    pub fn row(&self, when: When, service: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.holds(when, service))
    }

    /// What `usage` costs at `when`.
    ///
    /// # Errors
    /// When it is not known; see [`Unknown`].
    pub fn price(&self, usage: &Usage, when: When, service: &str) -> Result<Cost<'_>, Unknown> {
        self.row(when, service).ok_or(Unknown::Row)?.charge(usage)
    }

    /// Every row, in the order they are tried.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// Why sheets cannot be used together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricesError {
    /// The prices of a row cannot be used.
    #[error("{row}: {source}")]
    Rates {
        /// The sheet, vendor and model.
        row: String,
        /// Why.
        source: RatesError,
    },
    /// A row is in a currency nobody gave the worth of.
    #[error("{row}: nothing says what one {currency} is worth; add it to `currencies`")]
    Currency {
        /// The sheet, vendor and model.
        row: String,
        /// The currency.
        currency: String,
    },
}

/// Every known price.
#[derive(Debug, Default)]
pub struct Prices {
    vendors: BTreeMap<String, Seller>,
}

#[derive(Debug, Default)]
struct Seller {
    hosts: Vec<String>,
    fallback: Vec<String>,
    reasoning_apart: bool,
    models: Vec<(Match, Arc<Tariff>)>,
    /// Where in `models` a name stands as it is, in lower case: the first place.
    named: HashMap<String, usize>,
    /// The places that are patterns, rising.
    patterns: Vec<usize>,
}

impl Seller {
    fn add(&mut self, names: Match, tariff: Arc<Tariff>) {
        let place = self.models.len();
        match names.literals() {
            Some(literals) => {
                for name in literals {
                    self.named.entry(name.to_lowercase()).or_insert(place);
                }
            }
            None => self.patterns.push(place),
        }
        self.models.push((names, tariff));
    }

    /// The first that is for `model`: the name itself is looked up, only patterns before it are tried.
    fn find(&self, model: &str) -> Option<&Arc<Tariff>> {
        let named = self.named.get(&model.to_lowercase()).copied();
        let before = self.patterns.iter().copied().take_while(|place| named.is_none_or(|named| *place < named));
        let pattern = before.into_iter().find(|place| self.models[*place].0.matches(model));
        pattern.or(named).map(|place| &self.models[place].1)
    }
}

impl Prices {
    /// Resolves named sheets. Where two know the same model, the first one's rows are used.
    ///
    /// # Errors
    /// Every row that cannot be used.
    pub fn new(sheets: &[(&str, &Sheet)]) -> Result<Prices, Vec<PricesError>> {
        let mut vendors: BTreeMap<String, Seller> = BTreeMap::new();
        for vendor in sheets.iter().flat_map(|(_, sheet)| &sheet.vendors) {
            let seller = vendors.entry(vendor.id.clone()).or_default();
            seller.hosts.extend(vendor.hosts.iter().cloned());
            seller.fallback.extend(vendor.fallback.iter().cloned());
            seller.reasoning_apart |= vendor.reasoning_apart;
        }
        let mut wrong = Vec::new();
        for (name, sheet) in sheets {
            let worth = |code: &str| {
                let currency = sheet.currencies.iter().find(|currency| currency.code == code);
                if code == "USD" { Some(Decimal::ONE) } else { currency.map(|currency| currency.usd) }
            };
            for model in &sheet.models {
                let seller = vendors.entry(model.vendor.clone()).or_default();
                match tariff(name, model, &worth, seller.reasoning_apart) {
                    Ok(tariff) => seller.add(model.names.clone(), Arc::new(tariff)),
                    Err(error) => wrong.push(error),
                }
            }
        }
        if wrong.is_empty() { Ok(Prices { vendors }) } else { Err(wrong) }
    }

    /// What is known about `model` at `vendor`, or at the vendors whose models it also sells.
    #[must_use]
    pub fn tariff(&self, vendor: &str, model: &str) -> Option<&Arc<Tariff>> {
        let seller = self.vendors.get(vendor)?;
        let others = seller.fallback.iter().filter_map(|other| self.vendors.get(other));
        std::iter::once(seller).chain(others).find_map(|seller| seller.find(model))
    }

    /// The vendor whose API is at `host`.
    #[must_use]
    pub fn vendor_at(&self, host: &str) -> Option<&str> {
        let is_at = |pattern: &String| match pattern.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => host.eq_ignore_ascii_case(pattern),
        };
        self.vendors.iter().find(|(_, seller)| seller.hosts.iter().any(is_at)).map(|(id, _)| id.as_str())
    }

    /// Whether anything is known about `vendor`.
    #[must_use]
    pub fn knows(&self, vendor: &str) -> bool {
        self.vendors.contains_key(vendor)
    }

    /// Every vendor's id.
    pub fn vendors(&self) -> impl Iterator<Item = &str> {
        self.vendors.keys().map(String::as_str)
    }

    /// Every tariff, in the order they are tried.
    pub fn tariffs(&self) -> impl Iterator<Item = &Arc<Tariff>> {
        self.vendors.values().flat_map(|seller| seller.models.iter().map(|(_, tariff)| tariff))
    }
}

fn tariff(
    sheet: &str,
    model: &Model,
    worth: &dyn Fn(&str) -> Option<Decimal>,
    reasoning_apart: bool,
) -> Result<Tariff, PricesError> {
    let name = format!("{sheet}:{}/{}", model.vendor, model.id);
    let row = |price: &Price| {
        let Some(usd) = worth(&price.currency) else {
            return Err(PricesError::Currency { row: name.clone(), currency: price.currency.clone() });
        };
        resolve(&name, price, Fraction::of(usd), reasoning_apart)
            .map_err(|source| PricesError::Rates { row: name.clone(), source })
    };
    let rows = model.prices.iter().map(row).collect::<Result<_, _>>()?;
    Ok(Tariff { vendor: model.vendor.clone(), model: model.id.clone(), rows })
}

fn resolve(name: &str, price: &Price, usd: Fraction, reasoning_apart: bool) -> Result<Row, RatesError> {
    let per_one = |(meter, amount): &(Meter, Decimal)| {
        let dollars = Fraction::of(*amount).times(usd)?;
        Some((*meter, Fraction::per_one(dollars, *meter)?))
    };
    let all = |rates: &[(Meter, Decimal)]| rates.iter().map(per_one).collect::<Option<Vec<_>>>();
    let rates = match &price.charges {
        Charges::Meters { rates, kind, tiers } => {
            // A tier's own prices over those of the tier below.
            let mut below = rates.clone();
            let mut whole = Vec::with_capacity(tiers.len());
            for (above, own) in tiers {
                below.retain(|(meter, _)| !own.iter().any(|(other, _)| other == meter));
                below.extend(own.iter().copied());
                whole.push((*above, all(&below).ok_or(RatesError::Digits)?));
            }
            Rates::new(*kind, &all(rates).ok_or(RatesError::Digits)?, &whole)?
        }
        Charges::Gpu(hours) => {
            let rates = hours.rates().ok_or(RatesError::Digits)?;
            let rates = rates.into_iter().map(|(meter, rate)| Some((meter, rate.times(usd)?)));
            Rates::new(TierKind::default(), &rates.collect::<Option<Vec<_>>>().ok_or(RatesError::Digits)?, &[])?
        }
    };
    Ok(Row {
        id: row_id(name, price).into(),
        service: price.service.as_str().into(),
        from: price.from,
        to: price.to,
        hours: price.hours.clone(),
        said: price.to_json(),
        gpu_hour: match &price.charges {
            Charges::Gpu(hours) => Some(GpuHour {
                dollars: Some(hours.per_hour).filter(|_| price.currency == "USD"),
                stated: price.stated.clone(),
            }),
            Charges::Meters { .. } => None,
        },
        reasoning_apart,
        rates,
    })
}

/// What tells a row from the others of its model, and eight digits of a hash (FNV-1a) over all that it says: a record that
/// names the row names these prices, also after the sheet was changed.
fn row_id(name: &str, price: &Price) -> String {
    let mut id = name.to_owned();
    if price.service != STANDARD {
        id += &format!("/{}", price.service);
    }
    if let Some(from) = price.from {
        id += &format!("@{from}");
    }
    let text = price.to_json().to_string();
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    id + &format!("#{hash:08x}")
}

#[cfg(test)]
mod tests;
