//! A sheet as JSON.

use super::{Charges, Currency, FORMAT, Model, Price, Provenance, STANDARD, Sheet, Stated, Vendor};
use crate::decimal::Decimal;
use crate::gpu::{Basis, GpuHours};
use crate::json::Json;
use crate::meter::Meter;
use crate::pattern::Match;
use crate::row::Hours;

impl Sheet {
    /// The sheet as JSON; [`Sheet::read`] gives the same sheet back.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut members = vec![member("format", text(FORMAT))];
        if !self.vendors.is_empty() {
            let vendors = self.vendors.iter().map(|vendor| (vendor.id.clone(), write_vendor(vendor)));
            members.push(member("vendors", Json::Object(vendors.collect())));
        }
        if !self.currencies.is_empty() {
            let currencies = self.currencies.iter().map(|one| (one.code.clone(), write_currency(one)));
            members.push(member("currencies", Json::Object(currencies.collect())));
        }
        members.push(member("models", Json::Array(self.models.iter().map(write_model).collect())));
        Json::Object(members)
    }
}

fn member(key: &str, value: Json) -> (String, Json) {
    (key.to_owned(), value)
}

fn text(text: impl Into<String>) -> Json {
    Json::String(text.into())
}

fn number(number: impl ToString) -> Json {
    Json::Number(number.to_string())
}

fn texts(texts: &[String]) -> Json {
    Json::Array(texts.iter().map(text).collect())
}

fn write_vendor(vendor: &Vendor) -> Json {
    let mut members = Vec::new();
    members.extend(vendor.name.as_ref().map(|name| member("name", text(name))));
    if !vendor.hosts.is_empty() {
        members.push(member("hosts", texts(&vendor.hosts)));
    }
    if !vendor.fallback.is_empty() {
        members.push(member("fallback", texts(&vendor.fallback)));
    }
    if vendor.reasoning_apart {
        members.push(member("reasoning_apart", Json::Bool(true)));
    }
    Json::Object(members)
}

fn write_currency(currency: &Currency) -> Json {
    let mut members = vec![member("usd", number(currency.usd))];
    members.extend(write_stated(&currency.stated));
    Json::Object(members)
}

fn write_model(model: &Model) -> Json {
    let mut members = vec![member("vendor", text(&model.vendor)), member("id", text(&model.id))];
    if model.names != Match::literal(&model.id) {
        members.push(member("names", write_names(&model.names)));
    }
    members.push(member("prices", Json::Array(model.prices.iter().map(Price::to_json).collect())));
    Json::Object(members)
}

fn write_names(names: &Match) -> Json {
    match names {
        Match::Glob(glob) => text(glob.as_str()),
        Match::Any(some) => Json::Array(some.iter().map(write_names).collect()),
        Match::Not(not) => Json::Object(vec![member("not", write_names(not))]),
        Match::All(all) => Json::Object(vec![member("all", Json::Array(all.iter().map(write_names).collect()))]),
    }
}

impl Price {
    /// The row as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut members = Vec::new();
        members.extend(self.from.map(|from| member("from", text(from.to_string()))));
        members.extend(self.to.map(|to| member("to", text(to.to_string()))));
        if self.service != STANDARD {
            members.push(member("service", text(&self.service)));
        }
        members.extend(self.hours.as_ref().map(|hours| member("hours", write_hours(hours))));
        if self.currency != "USD" {
            members.push(member("currency", text(&self.currency)));
        }
        match &self.charges {
            Charges::Meters { rates, kind, tiers } => {
                members.push(member("rates", write_rates(rates)));
                if !tiers.is_empty() {
                    let step = |(above, rates): &(u64, Vec<(Meter, Decimal)>)| {
                        Json::Object(vec![member("above", number(above)), member("rates", write_rates(rates))])
                    };
                    let steps = Json::Array(tiers.iter().map(step).collect());
                    let tiers = vec![member("kind", text(kind.as_str())), member("steps", steps)];
                    members.push(member("tiers", Json::Object(tiers)));
                }
            }
            Charges::Gpu(hours) => members.push(member("gpu", write_gpu(hours))),
        }
        members.extend(write_stated(&self.stated));
        members.extend(self.note.as_ref().map(|note| member("note", text(note))));
        Json::Object(members)
    }
}

fn write_gpu(hours: &GpuHours) -> Json {
    let mut gpu = vec![member("hour", number(hours.per_hour)), member("gpus", number(hours.gpus))];
    if hours.utilization != Decimal::ONE {
        gpu.push(member("utilization", number(hours.utilization)));
    }
    match &hours.basis {
        Basis::Throughput { input, cached, output } => {
            let mut rates = vec![member("input", number(input)), member("output", number(output))];
            rates.extend(cached.map(|cached| member("cached", number(cached))));
            gpu.push(member("tokens_per_second", Json::Object(rates)));
        }
        Basis::Time { concurrent_requests } => gpu.push(member("concurrent_requests", number(concurrent_requests))),
    }
    Json::Object(gpu)
}

fn write_rates(rates: &[(Meter, Decimal)]) -> Json {
    Json::Object(rates.iter().map(|(meter, amount)| member(meter.as_str(), number(amount))).collect())
}

fn write_hours(hours: &Hours) -> Json {
    let clock = |minute: u16| text(format!("{:02}:{:02}", minute / 60, minute % 60));
    let windows = hours.windows.iter().map(|window| {
        let mut members = vec![member("from", clock(window.from)), member("to", clock(window.to))];
        if !window.days.is_empty() {
            members.push(member("days", Json::Array(window.days.iter().map(number).collect())));
        }
        Json::Object(members)
    });
    let mut members = Vec::new();
    if hours.offset_min != 0 {
        let (sign, minutes) = (if hours.offset_min < 0 { '-' } else { '+' }, hours.offset_min.unsigned_abs());
        members.push(member("offset", text(format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))));
    }
    members.push(member("windows", Json::Array(windows.collect())));
    Json::Object(members)
}

fn write_stated(stated: &Stated) -> Vec<(String, Json)> {
    let mut members = vec![member("source", text(&stated.source)), member("checked", text(stated.checked.to_string()))];
    if stated.provenance != Provenance::List {
        members.push(member("provenance", text(stated.provenance.as_str())));
    }
    members
}
