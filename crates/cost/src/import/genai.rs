//! The `data.json` of genai-prices (MIT licensed; read at 47df840 of 2026-08 and as its package 0.2.3 has it).
//!
//! A list of providers, each with models; a model's `prices` are one map or a list of them with constraints, of which the
//! last that holds is used, and the first when none does. A tier's price is for the whole request, chosen by all input tokens.

use super::{Fate, Import, is_free, merged, pattern};
use crate::date::{Date, minute_of_day};
use crate::decimal::Decimal;
use crate::json::Json;
use crate::meter::Meter;
use crate::pattern::{Glob, Match, escape};
use crate::rates::TierKind;
use crate::row::{Hours, Window};
use crate::sheet::{Charges, Model, Price, STANDARD, Vendor};

/// Their keys for prices, and what they are for.
const KEYS: [(&str, Meter); 26] = [
    ("input_mtok", Meter::Input),
    ("output_mtok", Meter::Output),
    ("cache_read_mtok", Meter::Cached),
    ("cache_write_mtok", Meter::CacheWrite),
    ("cache_write_5m_mtok", Meter::CacheWrite5m),
    ("cache_write_1h_mtok", Meter::CacheWrite1h),
    ("input_audio_mtok", Meter::AudioInput),
    ("output_audio_mtok", Meter::AudioOutput),
    ("cache_audio_read_mtok", Meter::CachedAudio),
    ("cache_audio_write_mtok", Meter::CacheWriteAudio),
    ("input_image_mtok", Meter::ImageInput),
    ("output_image_mtok", Meter::ImageOutput),
    ("cache_image_read_mtok", Meter::CachedImage),
    ("cache_image_write_mtok", Meter::CacheWriteImage),
    ("input_video_mtok", Meter::VideoInput),
    ("output_video_mtok", Meter::VideoOutput),
    ("cache_video_read_mtok", Meter::CachedVideo),
    ("output_reasoning_mtok", Meter::Reasoning),
    ("output_citation_mtok", Meter::Citation),
    ("audio_hours", Meter::AudioSeconds),
    ("input_audio_hours", Meter::AudioInputSeconds),
    ("output_audio_hours", Meter::AudioOutputSeconds),
    ("input_mchars", Meter::Characters),
    ("input_text_messages_kcount", Meter::Messages),
    ("input_document_kpages", Meter::Pages),
    ("input_annotated_document_kpages", Meter::AnnotatedPages),
];

/// Those that are for a number of calls.
const CALLS: [(&str, Meter); 3] = [
    ("web_searches_kcount", Meter::WebSearches),
    ("storage_searches_kcount", Meter::FileSearches),
    ("rerank_searches_kcount", Meter::RerankSearches),
];

const USED: &str = "not about prices";

pub(super) fn read(import: &mut Import, tree: &Json) -> Option<()> {
    for provider in tree.as_array()? {
        let id = provider.get("id")?.as_str()?.to_owned();
        provider.get("models")?.as_array()?;
        read_provider(import, provider, &id);
    }
    Some(())
}

fn read_provider(import: &mut Import, provider: &Json, id: &str) {
    let mut vendor = Vendor { id: id.to_owned(), ..Vendor::default() };
    let mut source = "genai-prices".to_owned();
    for (key, value) in provider.members() {
        let (fate, note) = match key.as_str() {
            "id" => (Fate::Mapped, "vendor"),
            "name" => {
                vendor.name = value.as_str().map(str::to_owned);
                (Fate::Mapped, "name")
            }
            "api_pattern" => match value.as_str().and_then(pattern::hosts) {
                Some(hosts) => {
                    vendor.hosts = hosts;
                    (Fate::Mapped, "hosts")
                }
                None => (Fate::Unsupported, "a pattern over any number of hosts; name the vendor in the config"),
            },
            "pricing_urls" => {
                let first = value.as_array().and_then(|urls| urls.first()).and_then(Json::as_str);
                source = first.map_or(source, |url| format!("{url} (by genai-prices)"));
                (Fate::Mapped, "source")
            }
            "fallback_model_providers" => {
                let others = value.as_array().unwrap_or_default().iter().filter_map(Json::as_str);
                vendor.fallback = others.map(str::to_owned).collect();
                (Fate::Mapped, "fallback")
            }
            "extractors" => {
                vendor.reasoning_apart = counts_reasoning_apart(value);
                (Fate::Mapped, "reasoning_apart; how usage is read otherwise is the gateway's")
            }
            "models" => (Fate::Mapped, "models"),
            "description" | "price_comments" => (Fate::Harmless, "a comment"),
            "model_match" | "provider_match" => (Fate::Harmless, "the vendor is named in the config"),
            _ => (Fate::Unsupported, "unknown key"),
        };
        import.note(id, format!("provider.{key}"), fate, note);
    }
    import.out.sheet.vendors.push(vendor);
    for model in provider.get("models").and_then(Json::as_array).unwrap_or_default() {
        read_model(import, model, id, &source);
    }
}

/// Whether the extractor for chat answers adds reasoning to the output.
fn counts_reasoning_apart(extractors: &Json) -> bool {
    let is_chat = |extractor: &&Json| extractor.get("api_flavor").and_then(Json::as_str) == Some("chat");
    let chat = extractors.as_array().unwrap_or_default().iter().find(is_chat);
    let mappings = chat.and_then(|extractor| extractor.get("mappings")).and_then(Json::as_array).unwrap_or_default();
    mappings.iter().any(|mapping| {
        let last = match mapping.get("path") {
            Some(Json::Array(path)) => path.last().and_then(Json::as_str),
            path => path.and_then(Json::as_str),
        };
        last == Some("reasoning_tokens") && mapping.get("dest").and_then(Json::as_str) == Some("output_tokens")
    })
}

fn read_model(import: &mut Import, model: &Json, vendor: &str, source: &str) {
    let id = model.get("id").and_then(Json::as_str).unwrap_or_default().to_owned();
    let owner = format!("{vendor}/{id}");
    let names = model.get("match").and_then(names);
    let mut checked = import.checked;
    for (key, value) in model.members() {
        let (fate, note) = match key.as_str() {
            "id" => (Fate::Mapped, "id"),
            "match" if names.is_some() => (Fate::Mapped, "names"),
            "match" => (Fate::Unsupported, "a pattern that no glob can say: the model is left out"),
            "prices_checked" => match value.as_str().and_then(Date::parse) {
                Some(date) => {
                    checked = date;
                    (Fate::Mapped, "checked")
                }
                None => (Fate::Unsupported, "not a date"),
            },
            // Their fields are accounted for one by one.
            "prices" | "price_variants" => continue,
            "name" | "description" | "price_comments" => (Fate::Harmless, "a comment"),
            "context_window" | "deprecated" => (Fate::Harmless, USED),
            "price_discrepancies" => (Fate::Harmless, "what other sources say"),
            "removed" | "collapse" => (Fate::Harmless, "how their file is made"),
            _ => (Fate::Unsupported, "unknown key"),
        };
        import.note(&owner, format!("model.{key}"), fate, note);
    }
    let mut rows = Rows { owner: owner.clone(), source: source.to_owned(), checked, prices: Vec::new() };
    let complete = rows.read(import, model);
    match (names, complete) {
        (None, _) => import.leave_out(&owner, "no glob is for the same names as its pattern"),
        (_, Err(why)) => import.leave_out(&owner, why),
        (Some(names), Ok(())) if !rows.prices.is_empty() => {
            let prices = rows.prices;
            import.out.sheet.models.push(Model { vendor: vendor.to_owned(), id, names, prices });
        }
        _ => import.leave_out(&owner, "it has no prices"),
    }
}

fn names(tree: &Json) -> Option<Match> {
    let (kind, value) = tree.members().first()?;
    let several = || value.as_array().map(|some| some.iter().map(names).collect::<Option<Vec<_>>>());
    let glob = |before: &str, after: &str| {
        let text = value.as_str()?;
        Some(Match::Glob(Glob::new(format!("{before}{}{after}", escape(text)))))
    };
    match kind.as_str() {
        "equals" => glob("", ""),
        "starts_with" => glob("", "*"),
        "ends_with" => glob("*", ""),
        "contains" => glob("*", "*"),
        "regex" => pattern::names(value.as_str()?),
        "or" => several()?.map(Match::Any),
        "and" => several()?.map(Match::All),
        _ => None,
    }
}

/// The rows of a model being read.
struct Rows {
    owner: String,
    source: String,
    checked: Date,
    prices: Vec<Price>,
}

/// When prices hold.
#[derive(Debug, Clone, Default)]
struct Constraint {
    from: Option<Date>,
    hours: Option<Hours>,
}

/// One map of prices: the base, and the tiers by their beginning.
#[derive(Debug, Clone, Default)]
struct Block {
    rates: Vec<(Meter, Decimal)>,
    tiers: Vec<(u64, Vec<(Meter, Decimal)>)>,
}

impl Rows {
    /// Rows in the order they are tried: theirs from last to first, the first of theirs again for when none holds.
    fn read(&mut self, import: &mut Import, model: &Json) -> Result<(), String> {
        let mut blocks = Vec::new();
        match model.get("prices") {
            Some(Json::Array(conditional)) => {
                for one in conditional {
                    blocks.push(self.conditional(import, one)?);
                }
            }
            Some(prices) => blocks.push((Constraint::default(), self.block(import, prices, "prices")?)),
            None => return Ok(()),
        }
        let unconditional =
            blocks.first().filter(|(constraint, _)| constraint.from.is_some() || constraint.hours.is_some());
        let last_resort = unconditional.map(|(_, block)| (Constraint::default(), block.clone()));
        let ordered: Vec<_> = blocks.into_iter().rev().chain(last_resort).collect();
        for variant in model.get("price_variants").and_then(Json::as_array).unwrap_or_default() {
            self.variant(import, variant, &ordered)?;
        }
        for (constraint, block) in ordered {
            self.push(STANDARD, constraint, block);
        }
        Ok(())
    }

    fn push(&mut self, service: &str, constraint: Constraint, block: Block) {
        // A row that another always holds before it is never used.
        let hides = |row: &Price| {
            row.service == service
                && (row.hours.is_none() || row.hours == constraint.hours)
                && row.from <= constraint.from
        };
        if block.rates.is_empty() || self.prices.iter().any(hides) {
            return;
        }
        let free = is_free(&block.rates) && block.tiers.is_empty();
        self.prices.push(Price {
            from: constraint.from,
            to: None,
            service: service.to_owned(),
            hours: constraint.hours,
            currency: "USD".into(),
            charges: Charges::Meters { rates: block.rates, kind: TierKind::WholeRequest, tiers: block.tiers },
            stated: crate::sheet::Stated {
                source: self.source.clone(),
                checked: self.checked,
                provenance: crate::sheet::Provenance::List,
            },
            note: free.then(|| "the source says that it is free".into()),
        });
    }

    fn conditional(&self, import: &mut Import, one: &Json) -> Result<(Constraint, Block), String> {
        let mut constraint = Constraint::default();
        let mut block = Block::default();
        for (key, value) in one.members() {
            match key.as_str() {
                "constraint" => constraint = self.constraint(import, value)?,
                "prices" => block = self.block(import, value, "prices")?,
                _ => {
                    import.note(&self.owner, format!("prices[].{key}"), Fate::Unsupported, "unknown key");
                    return Err(format!("its prices have a key `{key}`, which is not known"));
                }
            }
        }
        Ok((constraint, block))
    }

    fn constraint(&self, import: &mut Import, value: &Json) -> Result<Constraint, String> {
        let text = |key| value.get(key).and_then(Json::as_str);
        let clock = |key| text(key).and_then(utc_minute);
        let found = match (text("start_date").and_then(Date::parse), clock("start_time"), clock("end_time")) {
            (Some(from), None, None) => Some(Constraint { from: Some(from), hours: None }),
            (None, Some(from), Some(to)) => {
                let hours = Hours { offset_min: 0, windows: vec![Window { from, to, days: Vec::new() }] };
                Some(Constraint { from: None, hours: Some(hours) })
            }
            _ if *value == Json::Null => Some(Constraint::default()),
            _ => None,
        };
        let (fate, note) = match &found {
            Some(_) => (Fate::Mapped, "from, hours"),
            None => (Fate::Unsupported, "a constraint that is neither a day nor hours: the model is left out"),
        };
        import.note(&self.owner, "prices[].constraint", fate, note);
        found.ok_or_else(|| "its prices hold under a condition that rows cannot say".into())
    }

    fn block(&self, import: &mut Import, prices: &Json, at: &str) -> Result<Block, String> {
        let mut block = Block::default();
        let mut tiers: Vec<(u64, Meter, Decimal)> = Vec::new();
        for (key, value) in prices.members().iter().filter(|(_, value)| *value != Json::Null) {
            let path = format!("{at}.{key}");
            let Some((meter, factor)) = meter(key) else {
                import.note(&self.owner, path, Fate::Unsupported, "no such meter: the model is left out");
                return Err(format!("it has a price for `{key}`, which is not metered"));
            };
            let amount = |value: &Json| value.as_number().and_then(Decimal::parse);
            let scaled = |amount: Decimal| if factor == 1 { Some(amount) } else { amount.divided(factor) };
            let read = match value {
                Json::Object(_) => (|| {
                    for tier in value.get("tiers")?.as_array()? {
                        let start = tier.get("start")?.as_number()?.parse().ok()?;
                        tiers.push((start, meter, scaled(amount(tier.get("price")?)?)?));
                    }
                    scaled(amount(value.get("base")?)?)
                })(),
                _ => amount(value).and_then(scaled),
            };
            let Some(base) = read else {
                import.note(&self.owner, path, Fate::Unsupported, "not a price: the model is left out");
                return Err(format!("its `{key}` is not a price"));
            };
            block.rates.push((meter, base));
            import.note(&self.owner, path, Fate::Mapped, format!("rates.{meter}"));
        }
        tiers.sort_by_key(|(start, meter, _)| (*start, *meter));
        for (start, meter, amount) in tiers {
            match block.tiers.last_mut() {
                Some((above, rates)) if *above == start => rates.push((meter, amount)),
                _ => block.tiers.push((start, vec![(meter, amount)])),
            }
        }
        Ok(block)
    }

    /// Prices for a kind of request, over the standard ones.
    fn variant(&mut self, import: &mut Import, variant: &Json, standard: &[(Constraint, Block)]) -> Result<(), String> {
        let service = match variant.get("when").map(Json::members).unwrap_or_default() {
            [(key, value)] if matches!(key.as_str(), "processing" | "service_tier" | "speed") => value.as_str(),
            _ => None,
        };
        let Some(service) = service else {
            let note = "prices that depend on something else than the service";
            import.note(&self.owner, "price_variants[]", Fate::Unsupported, note);
            return Ok(());
        };
        if service == "default" {
            import.note(&self.owner, "price_variants[]", Fate::Harmless, "the standard service by another name");
            return Ok(());
        }
        import.note(&self.owner, "price_variants[].when", Fate::Mapped, "service");
        let constraint = match variant.get("constraint") {
            Some(value) => self.constraint(import, value)?,
            None => Constraint::default(),
        };
        let own = match variant.get("prices") {
            Some(prices) => self.block(import, prices, "price_variants[].prices")?,
            None => Block::default(),
        };
        for (under, block) in standard {
            let from = constraint.from.max(under.from);
            let hours = constraint.hours.clone().or_else(|| under.hours.clone());
            let rates = merged(&block.rates, &own.rates);
            // A price of the variant replaces the standard one with all its tiers.
            let kept = |(above, rates): &(u64, Vec<(Meter, Decimal)>)| {
                let is_kept = |(meter, _): &&(Meter, Decimal)| !own.rates.iter().any(|(other, _)| other == meter);
                (*above, rates.iter().filter(is_kept).copied().collect::<Vec<_>>())
            };
            let mut tiers: Vec<(u64, Vec<(Meter, Decimal)>)> = block.tiers.iter().map(kept).collect();
            for (above, rates) in &own.tiers {
                match tiers.iter_mut().find(|(other, _)| other == above) {
                    Some((_, there)) => there.extend(rates.iter().copied()),
                    None => tiers.push((*above, rates.clone())),
                }
            }
            tiers.retain(|(_, rates)| !rates.is_empty());
            tiers.sort_by_key(|(above, _)| *above);
            self.push(service, Constraint { from, hours }, Block { rates, tiers });
        }
        Ok(())
    }
}

/// The meter of a price key, and by how much the amount is divided.
fn meter(key: &str) -> Option<(Meter, u64)> {
    let find = |keys: &[(&str, Meter)]| keys.iter().find(|(name, _)| *name == key).map(|(_, meter)| *meter);
    match key {
        "requests_kcount" => Some((Meter::Request, 1_000)),
        _ => find(&KEYS).or_else(|| find(&CALLS)).map(|meter| (meter, 1)),
    }
}

/// Minute of the day in UTC of `16:30:00Z`, `16:30:00` or `16:30:00+00:00`; other offsets are not used there.
fn utc_minute(text: &str) -> Option<u16> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")).unwrap_or(text);
    minute_of_day(text)
}
