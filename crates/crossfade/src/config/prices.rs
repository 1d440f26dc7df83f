//! `prices`, and the `price` of providers and targets: what calls cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use cost::sheet::{Price, SHIPPED, Sheet, SheetError, Step};
use cost::{Prices, Tariff};
use gateway::prices::{PricedBy, TargetPrices};
use gateway::snapshot::Target;

use super::error::nearest;
use super::reader::{Item, Section};
use super::targets::Targets;

/// Keys of `prices` that are not a sheet's.
const OWN: [&str; 2] = ["shipped", "files"];

/// Every known price and how each target is priced by them; and the texts of the sheets in files.
pub(crate) fn read(root: &Section<'_>, targets: &Targets) -> (TargetPrices, Vec<String>) {
    let (all, texts) = known(root);
    let all = Arc::new(all);
    let providers: BTreeMap<String, Item<'_>> = prices_of(root, "providers");
    let own: BTreeMap<String, Item<'_>> = prices_of(root, "targets");
    // A provider's price is looked at once, whoever it is for, so that a mistake in it is told once.
    let written: BTreeMap<&String, Written> =
        providers.iter().filter_map(|(name, item)| Some((name, reference(item, &all)?))).collect();
    let mut of = BTreeMap::new();
    for target in targets.found.values().flatten() {
        let by = match own.get(&target.name) {
            Some(item) => reference(item, &all).and_then(|written| priced_by(item, written, target, &all, true)),
            None => match (providers.get(&target.provider.name), written.get(&target.provider.name)) {
                (Some(item), Some(written)) => priced_by(item, written.clone(), target, &all, false),
                (Some(_), None) => None,
                (None, _) => by_host(target, &all),
            },
        };
        of.extend(by.map(|by| (target.name.clone(), by)));
    }
    (TargetPrices { all, of }, texts)
}

/// The `price` of everything under `key` that has one.
fn prices_of<'a>(root: &Section<'a>, key: &'static str) -> BTreeMap<String, Item<'a>> {
    let price = |(name, item): (super::reader::Written<String>, Item<'a>)| {
        // Whether it is a map is told where it is read as a provider or a target.
        if !item.is_map() {
            return None;
        }
        Some((name.value, item.section()?.get("price")?))
    };
    root.named(key).into_iter().filter_map(price).collect()
}

/// The sheets: the config's own, files in their order, the shipped one.
fn known(root: &Section<'_>) -> (Prices, Vec<String>) {
    let item = root.get("prices");
    let section = item.as_ref().and_then(Item::section);
    let mut sheets: Vec<(String, Sheet)> = Vec::new();
    if let (Some(item), Some(_)) = (&item, &section)
        && let Some(sheet) = inline(item)
    {
        sheets.push(("config".to_owned(), sheet));
    }
    let files = section.as_ref().and_then(|section| section.get("files")).and_then(|item| item.list("price sheets"));
    let mut texts = Vec::new();
    for item in files.unwrap_or_default() {
        if let Some((name, sheet)) = file(&item, &mut texts) {
            if sheets.iter().any(|(other, _)| *other == name) {
                item.note(format!("two price sheets are called `{name}`"), Some("rename one of the files".into()));
            }
            sheets.push((name, sheet));
        }
    }
    let shipped = section.as_ref().and_then(|section| section.get("shipped")).and_then(|item| item.boolean());
    // A test holds that it can be read. Without its prices, it still says where vendors' APIs are.
    if let Ok(mut sheet) = Sheet::parse(SHIPPED) {
        if shipped == Some(false) {
            sheet.models.clear();
        }
        sheets.push(("shipped".to_owned(), sheet));
    }
    let sheets: Vec<(&str, &Sheet)> = sheets.iter().map(|(name, sheet)| (name.as_str(), sheet)).collect();
    let prices = Prices::new(&sheets).unwrap_or_else(|errors| {
        for error in errors {
            if let Some(item) = &item {
                item.note(error.to_string(), None);
            }
        }
        Prices::default()
    });
    (prices, texts)
}

fn inline(item: &Item<'_>) -> Option<Sheet> {
    let cost::json::Json::Object(mut members) = item.exact()? else { return None };
    members.retain(|(key, _)| !OWN.contains(&key.as_str()));
    match Sheet::read(&cost::json::Json::Object(members)) {
        Ok(sheet) => Some(sheet),
        Err(errors) => {
            errors.iter().for_each(|error| note(item, error, &OWN));
            None
        }
    }
}

/// A sheet and its name, the file's without what is after its first dot.
fn file(item: &Item<'_>, texts: &mut Vec<String>) -> Option<(String, Sheet)> {
    let path = item.path()?;
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            item.note(format!("cannot read {}: {error}", path.display()), None);
            return None;
        }
    };
    let parsed = Sheet::parse(&text);
    texts.push(text);
    match parsed {
        Ok(sheet) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Some((name.split('.').next().unwrap_or_default().to_owned(), sheet))
        }
        Err(errors) => {
            const SHOWN: usize = 5;
            for error in errors.iter().take(SHOWN) {
                item.note(format!("{}: {error}", path.display()), None);
            }
            if errors.len() > SHOWN {
                item.note(format!("{}: {} more problems", path.display(), errors.len() - SHOWN), None);
            }
            None
        }
    }
}

/// Notes what is wrong with a part of the config that is a part of a sheet, at its own line.
fn note(item: &Item<'_>, error: &SheetError, more: &[&'static str]) {
    let steps = error.path.iter().map(|step| match step {
        Step::Key(key) => Err(key.as_str()),
        Step::Idx(idx) => Ok(*idx),
    });
    let item = item.inside(steps);
    let known = || error.known.iter().chain(more.iter().filter(|_| error.path.len() == 1)).copied();
    match error.path.last() {
        Some(Step::Key(key)) if !error.known.is_empty() => {
            let hint = match nearest(key, known()) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("known here: {}", known().collect::<Vec<_>>().join(", ")),
            };
            let what = error.message.split(';').next().unwrap_or_default();
            item.note(what, Some(hint));
        }
        _ => item.note(error.message.clone(), None),
    }
}

/// What `price` says.
#[derive(Clone)]
enum Written {
    /// `none`: nothing is to be known.
    Nothing,
    /// This vendor's rows for the target's model.
    Vendor(String),
    /// This vendor's rows for this model.
    Model(String, String),
    /// This row.
    Row(Box<Price>),
}

fn reference(item: &Item<'_>, all: &Prices) -> Option<Written> {
    if item.is_map() {
        return match Price::read(&item.exact()?) {
            Ok(price) => Some(Written::Row(Box::new(price))),
            Err(errors) => {
                errors.iter().for_each(|error| note(item, error, &[]));
                None
            }
        };
    }
    let text = item.string()?.value;
    if text == "none" {
        return Some(Written::Nothing);
    }
    let (vendor, model) = text.split_once('/').map_or((text.as_str(), None), |(vendor, model)| (vendor, Some(model)));
    if !all.knows(vendor) {
        let hint = match nearest(vendor, all.vendors()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known vendors: {}", all.vendors().collect::<Vec<_>>().join(", ")),
        };
        item.note(format!("no price sheet knows the vendor `{vendor}`"), Some(hint));
        return None;
    }
    Some(match model {
        Some(model) => Written::Model(vendor.to_owned(), model.to_owned()),
        None => Written::Vendor(vendor.to_owned()),
    })
}

/// `is_own` when it was written for this target and no other: then what is named must be there.
fn priced_by(item: &Item<'_>, written: Written, target: &Target, all: &Prices, is_own: bool) -> Option<PricedBy> {
    let (vendor, model) = match written {
        Written::Nothing => return None,
        Written::Row(price) => {
            let tariff = Tariff::of_one(&target.provider.name, &target.model, &price);
            return match tariff {
                Ok(tariff) => Some(PricedBy::Tariff(Arc::new(tariff))),
                Err(error) => {
                    item.note(error.to_string(), None);
                    None
                }
            };
        }
        Written::Vendor(vendor) if target.model.contains('*') => return Some(PricedBy::Vendor(vendor)),
        Written::Vendor(vendor) => (vendor, target.model.clone()),
        Written::Model(vendor, model) => (vendor, model),
    };
    let tariff = all.tariff(&vendor, &model);
    if tariff.is_none() && is_own {
        let hint = format!("`crossfade prices list --vendor {vendor}` shows what is known");
        item.note(format!("no price is known for `{model}` at `{vendor}`"), Some(hint));
    }
    tariff.map(|tariff| PricedBy::Tariff(Arc::clone(tariff)))
}

/// Without a word about it: the vendor whose API the provider's address is.
fn by_host(target: &Target, all: &Prices) -> Option<PricedBy> {
    if target.provider.is_simulated() {
        return None;
    }
    let rest = target.provider.base_url.as_str().split_once("://")?.1;
    let vendor = all.vendor_at(rest.split(['/', ':']).next()?)?;
    if target.model.contains('*') {
        return Some(PricedBy::Vendor(vendor.to_owned()));
    }
    all.tariff(vendor, &target.model).map(|tariff| PricedBy::Tariff(Arc::clone(tariff)))
}
