//! LiteLLM's `model_prices_and_context_window.json` (MIT licensed; read as the wheel 1.109.1 has it).
//!
//! A map from names to flat maps. A price key is a base, then perhaps `_above_Nk_tokens`, then perhaps a service; the base says
//! what it is for and for how many. A tier is for the whole request, chosen by all input tokens; xAI's begin at their bound, all
//! others above it. A service without a price of its own for something pays the standard one. What LiteLLM's code knows beside the file, such as half
//! a price for cached tokens at Fireworks, is not in it and not imported.

mod key;
mod off_peak;
mod tiers;

use std::collections::BTreeMap;

use super::{Fate, Import, is_free, merged, set, vendor_id};
use crate::decimal::Decimal;
use crate::json::Json;
use crate::meter::Meter;
use crate::pattern::Match;
use crate::rates::TierKind;
use crate::sheet::{Charges, Model, Price, STANDARD, Stated};

type Rates = Vec<(Meter, Decimal)>;

/// The entry that documents the file's format.
const SAMPLE: &str = "sample_spec";

pub(super) fn read(import: &mut Import, tree: &Json) -> Option<()> {
    let Json::Object(models) = tree else { return None };
    if !models.iter().all(|(_, model)| matches!(model, Json::Object(_))) {
        return None;
    }
    // Any map of maps would do otherwise.
    if !models.iter().any(|(_, model)| model.get("litellm_provider").is_some()) {
        return None;
    }
    for (name, model) in models {
        if name == SAMPLE {
            import.note(name, SAMPLE, Fate::Harmless, "documents the format");
        } else {
            read_model(import, name, model);
        }
    }
    Some(())
}

/// The prices of one model, by service and by the bound of the tier.
#[derive(Default)]
struct Priced {
    base: BTreeMap<&'static str, Rates>,
    above: BTreeMap<(&'static str, u64), Rates>,
    /// From `tiered_pricing`, which stands for all of the standard service.
    ranges: Vec<(u64, Rates)>,
    off_peak: Option<(crate::row::Hours, Rates)>,
}

fn read_model(import: &mut Import, name: &str, model: &Json) {
    let provider = model.get("litellm_provider").and_then(Json::as_str).unwrap_or_default();
    let mode = model.get("mode").and_then(Json::as_str).unwrap_or_default();
    let mut priced = Priced::default();
    let mut source = None;
    let mut wrong = None;
    for (key, value) in model.members() {
        let (fate, note) = match key.as_str() {
            "litellm_provider" => (Fate::Mapped, "vendor".to_owned()),
            "source" => {
                source = value.as_str();
                (Fate::Mapped, "source".to_owned())
            }
            "tiered_pricing" => match tiers::read(value) {
                Some(ranges) => {
                    priced.ranges = ranges;
                    (Fate::Mapped, "tiers".to_owned())
                }
                None => (Fate::Unsupported, "tiers by something else than tokens".to_owned()),
            },
            "off_peak_pricing" => match off_peak::read(value) {
                Some(found) => {
                    priced.off_peak = Some(found);
                    (Fate::Mapped, "hours".to_owned())
                }
                None => {
                    wrong = Some("its off-peak prices cannot be read".to_owned());
                    (Fate::Unsupported, "hours that rows cannot say: the model is left out".to_owned())
                }
            },
            _ => read_key(&mut priced, &mut wrong, (key, value), (mode, provider)),
        };
        import.note(name, key, fate, note);
    }
    let id = name.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
    let prefix = format!("{}/", vendor_id(provider));
    let id = id.strip_prefix(&prefix).unwrap_or(id).to_owned();
    let stated = import.stated(source.map_or_else(|| "LiteLLM".to_owned(), |url| format!("{url} (by LiteLLM)")));
    let prices = rows(priced, &stated);
    let vendor = vendor_id(provider).to_owned();
    let is_known = |other: &Model| other.vendor == vendor && other.id == id;
    let why = match wrong {
        Some(why) => Some(why),
        None if provider.is_empty() => Some("it names no provider".to_owned()),
        None if prices.is_empty() => Some("it has no price that is metered".to_owned()),
        None if prices
            .iter()
            .all(|price| matches!(&price.charges, Charges::Meters { rates, .. } if is_free(rates))) =>
        {
            Some("every price is 0: free, unknown or part of a subscription".to_owned())
        }
        None if import.out.sheet.models.iter().rev().any(is_known) => {
            Some("the same model is there already".to_owned())
        }
        None => None,
    };
    match why {
        Some(why) => import.leave_out(name, why),
        None => {
            let names = if id == name {
                Match::literal(&id)
            } else {
                Match::Any(vec![Match::literal(&id), Match::literal(name)])
            };
            import.out.sheet.models.push(Model { vendor, id, names, prices });
        }
    }
}

fn read_key(
    priced: &mut Priced,
    wrong: &mut Option<String>,
    (name, value): (&str, &Json),
    (mode, provider): (&str, &str),
) -> (Fate, String) {
    let key = match key::meaning(name, value, mode) {
        key::Meaning::Price(key) => key,
        key::Meaning::Harmless(why) => return (Fate::Harmless, why.to_owned()),
        key::Meaning::Unsupported(why) => return (Fate::Unsupported, why.to_owned()),
    };
    if *value == Json::Null {
        return (Fate::Harmless, "nothing".to_owned());
    }
    let amount =
        key.value.unwrap_or(value).as_number().and_then(Decimal::parse).and_then(|amount| amount.times(key.factor));
    let Some(amount) = amount else {
        *wrong = Some(format!("its `{name}` is not a price"));
        return (Fate::Unsupported, "not a price: the model is left out".to_owned());
    };
    let rates = match key.above {
        None => priced.base.entry(key.service).or_default(),
        Some(bound) => {
            let above = if provider == "xai" { bound.saturating_sub(1) } else { bound };
            priced.above.entry((key.service, above)).or_default()
        }
    };
    set(rates, key.meter, amount);
    (Fate::Mapped, format!("rates.{}", key.meter))
}

fn rows(priced: Priced, stated: &Stated) -> Vec<Price> {
    let standard = priced.base.get(STANDARD).cloned().unwrap_or_default();
    let tiers_of = |service: &str| -> Vec<(u64, Rates)> {
        let own = priced
            .above
            .iter()
            .filter(|((of, _), _)| *of == service)
            .map(|((_, above), rates)| (*above, rates.clone()));
        own.collect()
    };
    let row = |service: &str, rates: Rates, tiers: Vec<(u64, Rates)>| Price {
        from: None,
        to: None,
        service: service.to_owned(),
        hours: None,
        currency: "USD".into(),
        charges: Charges::Meters { rates, kind: TierKind::WholeRequest, tiers },
        stated: stated.clone(),
        note: None,
    };
    let mut prices = Vec::new();
    let (base, tiers) = match priced.ranges.split_first() {
        Some(((_, first), rest)) => (merged(&standard, first), rest.to_vec()),
        None => (standard.clone(), tiers_of(STANDARD)),
    };
    if let Some((hours, own)) = &priced.off_peak {
        // Off-peak prices are flat: they stand in every tier.
        let flat = tiers.iter().map(|(above, rates)| (*above, merged(rates, own))).collect();
        let off_peak = row(STANDARD, merged(&base, own), flat);
        prices.push(Price { hours: Some(hours.clone()), ..off_peak });
    }
    if !base.is_empty() {
        prices.push(row(STANDARD, base, tiers.clone()));
    }
    for (service, own) in priced.base.iter().filter(|(service, _)| **service != STANDARD) {
        let mut above: BTreeMap<u64, Rates> = BTreeMap::new();
        if *service != key::BATCH {
            above = tiers.iter().cloned().collect();
        }
        for (bound, rates) in tiers_of(service) {
            let there = above.entry(bound).or_default();
            *there = merged(there, &rates);
        }
        prices.push(row(service, merged(&standard, own), above.into_iter().collect()));
    }
    prices
}
