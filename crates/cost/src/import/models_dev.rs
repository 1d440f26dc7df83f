//! The `api.json` of models.dev (MIT licensed; read at f3fc692 of 2026-07).
//!
//! A map from providers to maps with `models`, a map from names to models with a `cost`, in dollars per million tokens.
//! Whether a tier is for the whole request the file does not say; it is taken so, as the vendors it lists mean it.

use super::{Fate, Import, is_free, vendor_id};
use crate::decimal::Decimal;
use crate::json::Json;
use crate::meter::Meter;
use crate::pattern::Match;
use crate::rates::TierKind;
use crate::sheet::{Charges, Model, Price, STANDARD, Stated, Vendor};

const KEYS: [(&str, Meter); 7] = [
    ("input", Meter::Input),
    ("output", Meter::Output),
    ("reasoning", Meter::Reasoning),
    ("cache_read", Meter::Cached),
    ("cache_write", Meter::CacheWrite),
    ("input_audio", Meter::AudioInput),
    ("output_audio", Meter::AudioOutput),
];

/// Where `context_over_200k` begins when no tier says.
const OVER: u64 = 200_000;

type Rates = Vec<(Meter, Decimal)>;

pub(super) fn read(import: &mut Import, tree: &Json) -> Option<()> {
    let Json::Object(providers) = tree else { return None };
    for (id, provider) in providers {
        let models = provider.get("models")?;
        let mut vendor = Vendor { id: vendor_id(id).to_owned(), ..Vendor::default() };
        let mut source = "models.dev".to_owned();
        for (key, value) in provider.members() {
            let (fate, note) = match key.as_str() {
                "id" => (Fate::Mapped, "vendor"),
                "name" => {
                    vendor.name = value.as_str().map(str::to_owned);
                    (Fate::Mapped, "name")
                }
                "api" => match value.as_str().and_then(host) {
                    Some(host) => {
                        vendor.hosts.push(host);
                        (Fate::Mapped, "hosts")
                    }
                    None => (Fate::Harmless, "not an address"),
                },
                "doc" => {
                    source = value.as_str().map_or(source, |doc| format!("{doc} (by models.dev)"));
                    (Fate::Mapped, "source")
                }
                "models" => (Fate::Mapped, "models"),
                "env" | "npm" => (Fate::Harmless, "for another client"),
                _ => (Fate::Unsupported, "unknown key"),
            };
            import.note(id, format!("provider.{key}"), fate, note);
        }
        import.out.sheet.vendors.push(vendor);
        for (name, model) in models.members() {
            let stated = import.stated(source.clone());
            Reader { import, owner: format!("{id}/{name}"), stated }.model(vendor_id(id), name, model);
        }
    }
    Some(())
}

fn host(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let host = rest.split(['/', ':']).next()?;
    (host.contains('.') && !host.contains(['$', '{'])).then(|| host.to_owned())
}

struct Reader<'a> {
    import: &'a mut Import,
    owner: String,
    stated: Stated,
}

impl Reader<'_> {
    fn note(&mut self, key: impl Into<String>, fate: Fate, note: impl Into<String>) {
        self.import.note(&self.owner, key, fate, note);
    }

    fn model(mut self, vendor: &str, name: &str, model: &Json) {
        let mut prices = Vec::new();
        let mut left_out = None;
        for (key, value) in model.members() {
            match key.as_str() {
                "cost" => match self.cost(value, "cost") {
                    Ok((rates, _)) if is_free(&rates) => {
                        left_out = Some("every price is 0: free, unknown or part of a subscription".to_owned());
                    }
                    Ok((rates, tiers)) => prices.push(self.price(STANDARD, rates, tiers)),
                    Err(why) => left_out = Some(why),
                },
                "experimental" => self.modes(value, &mut prices),
                "id" => self.note("model.id", Fate::Mapped, "id"),
                "name" | "family" | "attachment" | "reasoning" | "reasoning_options" | "tool_call" | "interleaved"
                | "structured_output" | "temperature" | "knowledge" | "release_date" | "last_updated"
                | "modalities" | "open_weights" | "limit" | "status" | "provider" | "description" | "license"
                | "links" | "weights" | "benchmarks" => {
                    self.note(format!("model.{key}"), Fate::Harmless, "not about prices")
                }
                _ => self.note(format!("model.{key}"), Fate::Unsupported, "unknown key"),
            }
        }
        let is_priced = prices.iter().any(|price| price.service == STANDARD);
        match left_out {
            Some(why) => self.import.leave_out(&self.owner, why),
            None if !is_priced => self.import.leave_out(&self.owner, "it has no prices"),
            None => {
                let names = Match::literal(name);
                let model = Model { vendor: vendor.to_owned(), id: name.to_owned(), names, prices };
                self.import.out.sheet.models.push(model);
            }
        }
    }

    fn price(&self, service: &str, rates: Rates, tiers: Vec<(u64, Rates)>) -> Price {
        Price {
            from: None,
            to: None,
            service: service.to_owned(),
            hours: None,
            currency: "USD".into(),
            charges: Charges::Meters { rates, kind: TierKind::WholeRequest, tiers },
            stated: self.stated.clone(),
            note: None,
        }
    }

    fn cost(&mut self, cost: &Json, at: &str) -> Result<(Rates, Vec<(u64, Rates)>), String> {
        let mut rates = Rates::new();
        let mut tiers = Vec::new();
        let mut legacy = None;
        for (key, value) in cost.members() {
            let path = format!("{at}.{key}");
            match key.as_str() {
                "tiers" => {
                    for tier in value.as_array().unwrap_or_default() {
                        tiers.push(self.tier(tier, &path)?);
                    }
                }
                "context_over_200k" if cost.get("tiers").is_some() => {
                    self.note(path, Fate::Harmless, "the same as `tiers`, for old readers");
                }
                "context_over_200k" => legacy = Some((OVER, self.cost(value, &path)?.0)),
                // The bound of the tier this map is in, read by `tier`.
                "tier" if at.ends_with("tiers") => {}
                _ => rates.push(self.rate(key, value, path)?),
            }
        }
        tiers.extend(legacy);
        tiers.sort_by_key(|(above, _)| *above);
        Ok((rates, tiers))
    }

    fn rate(&mut self, key: &str, value: &Json, path: String) -> Result<(Meter, Decimal), String> {
        let meter = KEYS.iter().find(|(name, _)| *name == key).map(|(_, meter)| *meter);
        match (meter, value.as_number().and_then(Decimal::parse)) {
            (Some(meter), Some(amount)) => {
                self.note(path, Fate::Mapped, format!("rates.{meter}"));
                Ok((meter, amount))
            }
            (Some(_), None) => {
                self.note(path, Fate::Unsupported, "not a price: the model is left out");
                Err(format!("its `{key}` is not a price"))
            }
            (None, _) => {
                self.note(path, Fate::Unsupported, "no such meter: the model is left out");
                Err(format!("it has a price for `{key}`, which is not metered"))
            }
        }
    }

    fn tier(&mut self, tier: &Json, path: &str) -> Result<(u64, Rates), String> {
        let bound = tier.get("tier");
        let kind = bound.and_then(|bound| bound.get("type")).and_then(Json::as_str).unwrap_or("context");
        let size =
            bound.and_then(|bound| bound.get("size")).and_then(Json::as_number).and_then(|size| size.parse().ok());
        let (Some(above), "context") = (size, kind) else {
            self.note(
                format!("{path}[].tier"),
                Fate::Unsupported,
                "not a tier by context length: the model is left out",
            );
            return Err("it has a tier that is not by context length".into());
        };
        self.note(format!("{path}[].tier"), Fate::Mapped, "tiers.steps.above");
        Ok((above, self.cost(tier, path)?.0))
    }

    /// Modes with prices of their own are services.
    fn modes(&mut self, experimental: &Json, prices: &mut Vec<Price>) {
        for (key, value) in experimental.members() {
            if key != "modes" {
                self.note(format!("model.experimental.{key}"), Fate::Unsupported, "unknown key");
                continue;
            }
            for (mode, settings) in value.members() {
                let body = settings.get("provider").and_then(|provider| provider.get("body"));
                let tier = body.and_then(|body| body.get("service_tier")).and_then(Json::as_str);
                let service = tier.unwrap_or(mode).to_owned();
                for (key, value) in settings.members() {
                    let path = format!("model.experimental.modes.*.{key}");
                    match key.as_str() {
                        "cost" => {
                            if let Ok((rates, tiers)) = self.cost(value, &path)
                                && !is_free(&rates)
                            {
                                prices.push(self.price(&service, rates, tiers));
                            }
                        }
                        "provider" => self.note(path, Fate::Mapped, "service"),
                        _ => self.note(path, Fate::Unsupported, "unknown key"),
                    }
                }
            }
        }
    }
}
