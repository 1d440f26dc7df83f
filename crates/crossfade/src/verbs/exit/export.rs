//! `crossfade exit export`: what a vendor holds, and what Crossfade recorded, into a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use exit::catalog::{COLLECTIONS, NOT_GIVEN, Needs};
use exit::signing::SigningKey;
use exit::{Archive, Crawl, CrawlError, Live, Manifest, Pacing, Vendor, seal};
use providers::{BaseUrl, Dialect, Provider, ProviderConfig, Shared};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use store::Database;
use wire::private::Private;
use wire::record::Lane;

use super::own;
use crate::load;
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::eval::draw;
use crate::verbs::ledger::Collected;
use crate::verbs::time::now_us;

/// A day, in seconds.
const DAY: i64 = 86_400;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory; an export that is there already is gone on with, and what it holds is not fetched again.
    directory: PathBuf,
    /// The vendor, as the config calls the provider. Without one only what Crossfade recorded is exported.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// A vendor of the OpenAI dialect that is in no config, such as https://api.openai.com/v1.
    #[arg(long, value_name = "URL", conflicts_with = "provider")]
    url: Option<String>,
    /// Environment variable with the key; usage, costs and the audit log need one of the organisation's administration.
    #[arg(long, value_name = "VARIABLE")]
    key_from: Option<String>,
    /// Only these of the vendor's collections, with commas between. Default: all; `--list` names them.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// A file with ids of responses and conversations, one a line; those in recorded answers are taken without it.
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// How far back usage and costs go.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=3650))]
    days: i64,
    /// The most requests a second; 0 is as fast as the vendor lets one.
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = rate)]
    rate: f64,
    /// Requests under way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// The key that signs the manifest (`crossfade keys signing` makes one).
    #[arg(long, value_name = "FILE")]
    sign: Option<PathBuf>,
    /// Leave out what Crossfade recorded.
    #[arg(long)]
    no_record: bool,
    /// Name the collections, what they hold and which key they need, and do nothing.
    #[arg(long)]
    list: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0).ok_or("expected a number from 0".to_owned())
}

/// Exports.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    if args.list {
        return Ok(list(out));
    }
    let key = args.sign.as_deref().map(signing_key).transpose()?;
    let only = only(&args.only)?;
    let database = record(place, args)?;
    let ledger = Arc::new(Collected::default());
    let vendor = vendor(place, args, &ledger)?;
    if vendor.is_none() && (database.is_none() || args.no_record) {
        let stop = Stop::usage("there is nothing to export");
        return Err(stop.hint(
            "name the vendor with `--provider NAME` or `--url URL`; the record needs a config whose gateway has run",
        ));
    }
    let mut archive = Archive::open(&args.directory).map_err(Stop::failed)?;
    let source = vendor.as_ref().map_or_else(|| report::RECORD_ALONE.to_owned(), Vendor::url);
    let own = match &database {
        Some(database) if !args.no_record => own::write(database, archive.root())?,
        _ => BTreeMap::new(),
    };
    let (mut refused, mut ended, mut n_new) = (Vec::new(), Ok(()), 0);
    if let Some(vendor) = vendor {
        let today = i64::try_from(now_us() / 1_000_000).unwrap_or_default() / DAY * DAY;
        let stop = heed()?;
        let crawl = Crawl {
            only,
            ids: ids(args, database.as_ref())?,
            days: (today - args.days * DAY, today),
            show: &shown,
            stop: &|| stop.load(Ordering::Relaxed),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stop::failed)?;
        match runtime.block_on(crawl.run(vendor, &mut archive)) {
            Ok((said, n)) => (refused, n_new) = (said, n),
            Err(error) => ended = Err(error),
        }
        draw("");
        ledger.note(place, out);
    }
    let manifest = seal(&mut archive, &source, (refused, ended.is_ok()), key.as_ref()).map_err(Stop::failed)?;
    if let Err(error) = ended {
        let exit = if matches!(error, CrawlError::Stopped) { Exit::Undecided } else { Exit::Failed };
        let hint = format!("what was fetched is in {}; the same command goes on there", args.directory.display());
        return Err(Stop::failed(error).exit(exit).hint(hint));
    }
    answer(out, args, (&manifest, &own, n_new));
    Ok(if manifest.refused.is_empty() { Exit::Ok } else { Exit::No })
}

fn answer(out: &Out, args: &Args, (manifest, own, n_new): (&Manifest, &BTreeMap<String, u64>, u64)) {
    let n_rows: u64 = own.values().sum();
    let facts = json!({ "directory": args.directory, "n_new": n_new, "own": own, "manifest": {
        "source": manifest.source, "complete": manifest.complete, "collections": manifest.collections, "refused": manifest.refused,
        "n_files": manifest.files.len(),
    } });
    out.answer(&facts, || {
        let mut text = String::new();
        if !manifest.collections.is_empty() {
            let rows: Vec<Vec<String>> = manifest
                .collections
                .iter()
                .map(|facts| {
                    vec![
                        facts.name.clone(),
                        facts.n_objects.to_string(),
                        facts.n_contents.to_string(),
                        facts.content_bytes.to_string(),
                    ]
                })
                .collect();
            text += &table(&["collection", "objects", "contents", "bytes"], &rows);
        }
        if n_rows > 0 {
            text += &format!("own record: {n_rows} rows of {} tables\n", own.values().filter(|n| **n > 0).count());
        }
        if !manifest.refused.is_empty() {
            text += "not given out:\n";
            for refusal in manifest.refused.iter().take(20) {
                text += &format!("  {}: {}: {}\n", refusal.collection, refusal.what, refusal.why);
            }
            let more = manifest.refused.len().saturating_sub(20);
            if more > 0 {
                text += &format!("  … and {more} more in {}\n", exit::MANIFEST);
            }
        }
        text +=
            &format!("{n_new} objects fetched now; {} files in {}\n", manifest.files.len(), args.directory.display());
        text
    });
}

fn list(out: &Out) -> Exit {
    let needs = |needs| match needs {
        Needs::Project => "project",
        Needs::Administration => "administration",
    };
    let rows: Vec<[&str; 3]> =
        COLLECTIONS.iter().map(|collection| [collection.name, needs(collection.needs), collection.what]).collect();
    out.answer(&rows, || {
        let cells: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect();
        let mut text = table(&["collection", "key", "what"], &cells);
        text += "\nwhat the API does not give out:\n";
        NOT_GIVEN.iter().for_each(|(what, then)| text += &format!("  {what}: {then}\n"));
        text
    });
    Exit::Ok
}

fn only(names: &[String]) -> Result<Vec<&'static str>, Stop> {
    let one = |name: &String| {
        let found = exit::catalog::named(name).map(|collection| collection.name);
        found.ok_or_else(|| {
            Stop::usage(format!("there is no collection `{name}`")).hint("`crossfade exit export . --list` names them")
        })
    };
    names.iter().map(one).collect()
}

fn signing_key(path: &Path) -> Result<SigningKey, Stop> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let wrong =
        |error| Stop::usage(format!("{}: {error}", path.display())).hint("`crossfade keys signing FILE` makes one");
    SigningKey::from_pem(&text).map_err(wrong)
}

/// The store of the config, where there is one.
fn record(place: &Place, args: &Args) -> Result<Option<Database>, Stop> {
    if !place.config.exists() {
        return Ok(None);
    }
    let store = load::places(&place.config)?.store;
    // Without a vendor the record is all that is asked for.
    if !store.exists() || (args.no_record && args.provider.is_none() && args.url.is_none()) {
        return Ok(None);
    }
    Database::open_read_only(store).map(Some).map_err(Stop::failed)
}

fn vendor(place: &Place, args: &Args, ledger: &Arc<Collected>) -> Result<Option<Vendor>, Stop> {
    let mut config = match (&args.provider, &args.url) {
        (Some(name), _) => of_config(place, name)?,
        (None, Some(url)) => {
            let url = BaseUrl::parse(url).map_err(|error| Stop::usage(error.to_string()))?;
            ProviderConfig::new("vendor", Dialect::Openai, url)
        }
        (None, None) => return Ok(None),
    };
    if let Some(variable) = &args.key_from {
        let key = std::env::var(variable).map_err(|_| Stop::usage(format!("{variable} is not set")))?;
        config.api_key = Some(Private::new(key));
    }
    if !matches!(config.dialect, Dialect::Openai) {
        return Err(Stop::usage(format!(
            "`{}` does not speak the OpenAI dialect: only such a vendor's API is known here",
            config.name
        )));
    }
    let shared = Shared::new().watched(Arc::clone(ledger) as Arc<dyn providers::Ledger>, Lane::Live);
    let provider: Arc<Provider> = shared.provider(Arc::new(config)).map_err(Stop::failed)?;
    let spacing = if args.rate > 0.0 { Duration::from_secs_f64(1.0 / args.rate) } else { Duration::ZERO };
    Ok(Some(Vendor::new(provider, Pacing { spacing, at_once: usize::from(args.at_once) })))
}

fn of_config(place: &Place, name: &str) -> Result<ProviderConfig, Stop> {
    let config = load::config(&place.config)?;
    let providers: BTreeMap<&str, &ProviderConfig> =
        config.snapshot.targets.values().map(|target| (target.provider.name.as_str(), &*target.provider)).collect();
    let known = || providers.keys().copied().collect::<Vec<_>>().join(", ");
    let found = providers.get(name).map(|provider| (*provider).clone());
    found.ok_or_else(|| {
        Stop::usage(format!("no target is at a provider `{name}`")).hint(format!("there are: {}", known()))
    })
}

/// Ids that are known, by collection.
fn ids(args: &Args, database: Option<&Database>) -> Result<BTreeMap<&'static str, Vec<String>>, Stop> {
    let text = args
        .ids
        .as_ref()
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display())));
    let text = text.transpose()?.unwrap_or_default();
    let typed: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let kinds = [("responses", "resp_"), ("conversations", "conv_")];
    let strange = typed.iter().position(|id| !kinds.iter().any(|(_, beginning)| id.starts_with(beginning)));
    if let (Some(place), Some(path)) = (strange, &args.ids) {
        let message = format!("{}: `{}` is no id of a response or a conversation", path.display(), typed[place]);
        return Err(Stop::usage(message).hint("they begin with `resp_` and `conv_`"));
    }
    let mut ids = BTreeMap::new();
    for (name, beginning) in kinds {
        let mut found: BTreeSet<String> =
            typed.iter().filter(|id| id.starts_with(beginning)).map(|&id| id.to_owned()).collect();
        if let Some(database) = database {
            found.extend(own::ids(database, beginning)?);
        }
        ids.insert(name, found.into_iter().collect());
    }
    Ok(ids)
}

fn heed() -> Result<Arc<AtomicBool>, Stop> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("could not listen for signals")?;
    }
    Ok(stop)
}

fn shown(live: Live) {
    let Live { collection, n_objects, n_requests, n_waits } = live;
    let waits = if n_waits > 0 { format!(", {n_waits} waits for its limit") } else { String::new() };
    draw(&format!("{collection}: {n_objects} objects fetched, {n_requests} requests{waits}"));
}
