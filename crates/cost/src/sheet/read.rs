//! A sheet from its tree. Every problem is noted and reading goes on, so that one run shows them all.

mod gpu;
mod place;

use super::{Charges, Currency, FORMAT, Model, Price, Provenance, STANDARD, Sheet, SheetError, Stated, Vendor};
use crate::date::{Date, minute_of_day};
use crate::decimal::Decimal;
use crate::json::Json;
use crate::meter::Meter;
use crate::pattern::{Glob, Match};
use crate::rates::TierKind;
use crate::row::{Hours, Window};

use place::{At, Map, Problems};

/// Names of every meter, for the hint when one is unknown.
const METERS: [&str; Meter::COUNT] = {
    let mut names = [""; Meter::COUNT];
    let mut idx = 0;
    while idx < Meter::COUNT {
        names[idx] = Meter::ALL[idx].as_str();
        idx += 1;
    }
    names
};

impl Sheet {
    /// Reads a sheet's text.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Sheet, Vec<SheetError>> {
        let tree = Json::parse(text).map_err(|error| {
            vec![SheetError { path: Vec::new(), message: format!("not JSON: {error}"), known: &[] }]
        })?;
        Sheet::read(&tree)
    }

    /// Reads a sheet from its tree.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(tree: &Json) -> Result<Sheet, Vec<SheetError>> {
        let keys = &["format", "source", "checked", "provenance", "vendors", "currencies", "models"];
        whole(tree, |root| root.map(keys).map(|root| read(&root)))
    }
}

impl Price {
    /// Reads one row from its tree.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(tree: &Json) -> Result<Price, Vec<SheetError>> {
        whole(tree, |root| price(root, &Inherited::default()))
    }
}

/// What `read` makes of the tree, or every problem it noted.
fn whole<T>(tree: &Json, read: impl FnOnce(At<'_>) -> Option<T>) -> Result<T, Vec<SheetError>> {
    let problems = Problems::default();
    let value = read(At::root(tree, &problems));
    let found = problems.into_errors();
    value.filter(|_| found.is_empty()).ok_or(found)
}

/// What rows inherit from the model and the sheet they stand in.
#[derive(Debug, Clone, Default)]
struct Inherited {
    source: Option<String>,
    checked: Option<Date>,
    provenance: Option<Provenance>,
}

impl Inherited {
    fn narrowed(&self, map: &Map<'_>) -> Inherited {
        let words = Provenance::ALL.map(|provenance| (provenance.as_str(), provenance));
        Inherited {
            source: map.get("source").and_then(|item| item.text()).or_else(|| self.source.clone()),
            checked: map.get("checked").and_then(|item| item.date()).or(self.checked),
            provenance: map.get("provenance").and_then(|item| item.word(&words)).or(self.provenance),
        }
    }

    /// A price without a source and a date is hearsay.
    fn stated(self, map: &Map<'_>) -> Option<Stated> {
        for (key, is_missing) in [("source", self.source.is_none()), ("checked", self.checked.is_none())] {
            if is_missing && map.get(key).is_none() {
                map.wrong(format!("`{key}` is missing, here and above"));
            }
        }
        let provenance = self.provenance.unwrap_or_default();
        Some(Stated { source: self.source?, checked: self.checked?, provenance })
    }
}

fn read(root: &Map<'_>) -> Sheet {
    if let Some(format) = root.get("format")
        && format.value().as_str() != Some(FORMAT)
    {
        format.wrong(format!("expected `{FORMAT}`, found {}", format.value().describe()));
    }
    let inherited = Inherited::default().narrowed(root);
    let named = |key| root.get(key).and_then(|item| item.entries()).unwrap_or_default();
    let vendors = named("vendors").into_iter().filter_map(|(id, item)| vendor(id, item)).collect();
    let currencies =
        named("currencies").into_iter().filter_map(|(code, item)| currency(code, item, &inherited)).collect();
    let models = root.get("models").and_then(|item| item.list()).unwrap_or_default();
    let models = models.into_iter().filter_map(|item| model(item, &inherited)).collect();
    Sheet { vendors, currencies, models }
}

fn vendor(id: &str, at: At<'_>) -> Option<Vendor> {
    let map = at.map(&["name", "hosts", "fallback", "reasoning_apart"])?;
    Some(Vendor {
        id: id.to_owned(),
        name: map.get("name").and_then(|item| item.text()),
        hosts: map.texts("hosts"),
        fallback: map.texts("fallback"),
        reasoning_apart: map.get("reasoning_apart").and_then(|item| item.boolean()).unwrap_or(false),
    })
}

fn currency(code: &str, at: At<'_>, inherited: &Inherited) -> Option<Currency> {
    let map = at.map(&["usd", "source", "checked", "provenance"])?;
    let usd = map.need("usd").and_then(|item| item.positive());
    let stated = inherited.narrowed(&map).stated(&map);
    Some(Currency { code: code.to_owned(), usd: usd?, stated: stated? })
}

fn model(at: At<'_>, inherited: &Inherited) -> Option<Model> {
    let map = at.map(&["vendor", "id", "names", "prices", "source", "checked", "provenance"])?;
    let inherited = inherited.narrowed(&map);
    let vendor = map.need("vendor").and_then(|item| item.text());
    let id = map.need("id").and_then(|item| item.text());
    let names = match map.get("names") {
        Some(item) => names(&item),
        None => id.as_deref().map(Match::literal),
    };
    let rows = map.need("prices").and_then(|item| item.list()).unwrap_or_default();
    let prices: Vec<_> = rows.into_iter().filter_map(|item| price(item, &inherited)).collect();
    Some(Model { vendor: vendor?, id: id?, names: names?, prices })
}

fn names(at: &At<'_>) -> Option<Match> {
    match at.value() {
        Json::String(text) if !text.is_empty() => Some(Match::Glob(Glob::new(text))),
        Json::Array(_) => Some(Match::Any(at.list()?.iter().filter_map(names).collect())),
        Json::Object(_) => {
            let map = at.clone().map(&["all", "not"])?;
            match (map.get("all"), map.get("not")) {
                (Some(all), None) => Some(Match::All(all.list()?.iter().filter_map(names).collect())),
                (None, Some(not)) => Some(Match::Not(Box::new(names(&not)?))),
                _ => at.expected("either `all` or `not`"),
            }
        }
        _ => at.expected("a pattern, a list of which any will do, or a map with `all` or `not`"),
    }
}

fn price(at: At<'_>, inherited: &Inherited) -> Option<Price> {
    let map = at.map(&[
        "from",
        "to",
        "service",
        "hours",
        "currency",
        "rates",
        "tiers",
        "gpu",
        "source",
        "checked",
        "provenance",
        "note",
    ])?;
    let (from, to) = (map.get("from").and_then(|item| item.date()), map.get("to").and_then(|item| item.date()));
    if from.is_some() && to.is_some() && from >= to {
        map.wrong("`to` is the first day the price no longer holds: it comes after `from`");
    }
    let text = |key| map.get(key).and_then(|item| item.text());
    let (charges, stated) = (charges(&map), inherited.narrowed(&map).stated(&map));
    Some(Price {
        from,
        to,
        service: text("service").unwrap_or_else(|| STANDARD.to_owned()),
        hours: map.get("hours").and_then(hours),
        currency: text("currency").unwrap_or_else(|| "USD".to_owned()),
        note: text("note"),
        charges: charges?,
        stated: stated?,
    })
}

fn charges(map: &Map<'_>) -> Option<Charges> {
    match (map.get("rates"), map.get("gpu")) {
        (Some(item), None) => meters(&item, map.get("tiers")),
        (None, Some(item)) => {
            if let Some(tiers) = map.get("tiers") {
                tiers.wrong("the hours of a server have no tiers");
            }
            gpu::read(item).map(Charges::Gpu)
        }
        _ => {
            map.wrong("one of `rates` and `gpu` says what is charged");
            None
        }
    }
}

fn rates(at: &At<'_>) -> Vec<(Meter, Decimal)> {
    let mut rates = Vec::new();
    for (name, item) in at.entries().unwrap_or_default() {
        match Meter::named(name) {
            Some(meter) => rates.extend(item.decimal().map(|amount| (meter, amount))),
            None => item.unknown(format!("unknown meter; known are {}", METERS.join(", ")), &METERS),
        }
    }
    rates
}

fn meters(at: &At<'_>, tiers: Option<At<'_>>) -> Option<Charges> {
    let rates_of = rates(at);
    if at.value().members().is_empty() {
        at.wrong("no meter has a price");
    }
    let Some(tiers) = tiers else {
        return Some(Charges::Meters { rates: rates_of, kind: TierKind::default(), tiers: Vec::new() });
    };
    let map = tiers.map(&["kind", "steps"])?;
    let kinds = [TierKind::WholeRequest, TierKind::Marginal].map(|kind| (kind.as_str(), kind));
    // Which of the two is meant is worth a factor: it is said, not guessed.
    let kind = map.need("kind").and_then(|item| item.word(&kinds));
    let mut steps: Vec<(u64, Vec<(Meter, Decimal)>)> = Vec::new();
    for item in map.need("steps").and_then(|item| item.list()).unwrap_or_default() {
        let Some(step) = item.map(&["above", "rates"]) else { continue };
        let above = step.need("above").and_then(|item| item.parsed("a number of tokens", |text| text.parse().ok()));
        let rates = step.need("rates").map(|item| rates(&item)).unwrap_or_default();
        let Some(above) = above else { continue };
        if steps.last().is_some_and(|(last, _)| *last >= above) || above == 0 {
            step.wrong("steps go up, each above the one before and above 0");
        }
        steps.push((above, rates));
    }
    Some(Charges::Meters { rates: rates_of, kind: kind?, tiers: steps })
}

fn hours(at: At<'_>) -> Option<Hours> {
    let map = at.map(&["offset", "windows"])?;
    let offset_min = match map.get("offset") {
        Some(item) => item.parsed("an offset such as `+08:00`", offset)?,
        None => 0,
    };
    let windows = map.need("windows").and_then(|item| item.list())?.into_iter().filter_map(window).collect();
    Some(Hours { offset_min, windows })
}

fn offset(text: &str) -> Option<i16> {
    let minutes = i16::try_from(minute_of_day(text.get(1..)?)?).ok()?;
    match text.as_bytes().first()? {
        b'+' => Some(minutes),
        b'-' => Some(-minutes),
        _ => None,
    }
}

fn window(at: At<'_>) -> Option<Window> {
    let map = at.map(&["from", "to", "days"])?;
    let clock = |key| map.need(key).and_then(|item| item.parsed("a time such as `16:30`", minute_of_day));
    let (from, to) = (clock("from"), clock("to"));
    let days = map.get("days").and_then(|item| item.list()).unwrap_or_default();
    let day = |text: &str| text.parse().ok().filter(|day| (1..=7).contains(day));
    let days = days.iter().filter_map(|item| item.parsed("a weekday from 1 (Monday) to 7", day)).collect();
    Some(Window { from: from?, to: to?, days })
}
