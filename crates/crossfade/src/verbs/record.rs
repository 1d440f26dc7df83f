//! `crossfade record show|prune`: how large the record is, and taking away what is old.

use std::time::Duration;

use anyhow::anyhow;
use clap::Subcommand;
use gateway::retention::{self, Settings};
use operations::retention::{RecordStatus, Wanted};
use operations::{Actor, Role};
use serde_json::json;
use store::{Database, Lease, Pruned, Pruner};

use super::Place;
use super::source::{Source, operation};
use super::time::{age, now_us, us_to_text};
use crate::load;
use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// How large it is, and how far it goes back.
    Show,
    /// Take away what is older than the config's `record.retention` says, or than is said here.
    Prune(Prune),
}

/// What goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// Say what would go, and take nothing away.
    #[arg(long)]
    dry_run: bool,
    /// Bodies older than this go, such as `30d`.
    #[arg(long, value_name = "AGE", value_parser = age)]
    bodies: Option<Duration>,
    /// Exchanges older than this go, with everything that belongs to them.
    #[arg(long, value_name = "AGE", value_parser = age)]
    rows: Option<Duration>,
    /// Take away what is not an hour old too: a request under way then ends without its record, a copy without its answer.
    #[arg(long)]
    young: bool,
    /// Give the room back to the file system afterwards; no gateway may run, and the copy takes as much room again.
    #[arg(long, conflicts_with = "dry_run")]
    compact: bool,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Who does it.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

/// Reads the record's size, or makes it smaller.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    let source = Source::open(place)?;
    match verb {
        Verb::Show => {
            let status = source.read("/api/record", operations::retention::status)?;
            let status: RecordStatus = serde_json::from_value(status).map_err(Stop::failed)?;
            out.answer(&status, || show(&status));
            Ok(Exit::Ok)
        }
        Verb::Prune(args) => prune(place, &source, &args, out),
    }
}

fn prune(place: &Place, source: &Source, args: &Prune, out: &Out) -> Result<Exit, Stop> {
    are_old_enough(args)?;
    let database = source.database()?;
    let config = load::config(&place.config);
    let settings = match (&config, args.bodies, args.rows) {
        (_, bodies, rows) if bodies.is_some() || rows.is_some() => Settings { bodies, rows, max_size: None },
        (Ok(config), ..) => config.record.retention,
        (Err(_), ..) => return config.map(|_| Exit::Ok),
    };
    if settings.bodies.is_none() && settings.rows.is_none() && !args.compact {
        let stop =
            Stop::usage("nothing says what is old: the config has no `record.retention` with `bodies` or `rows`");
        return Err(stop.hint("add `--bodies AGE` or `--rows AGE`"));
    }
    let now_us = now_us();
    // Without a config that can be read, a completed rollout keeps everything.
    let window = |name: &str| match &config {
        Ok(config) => {
            config.snapshot.rollouts.get(name).map(|rollout| rollout.revalidate.map_or(retention::COMPLETED, |of| of.0))
        }
        Err(_) => Some(Duration::from_micros(now_us)),
    };
    let before = |age: Option<Duration>| {
        age.map(|age| now_us.saturating_sub(u64::try_from(age.as_micros()).unwrap_or(u64::MAX)))
    };
    let wanted = Wanted {
        bodies_before_us: before(settings.bodies),
        rows_before_us: before(settings.rows),
        kept: retention::kept(&database, window, now_us).map_err(Stop::failed)?,
    };
    if args.dry_run {
        let found = operations::retention::foresee(&database, &wanted).map_err(operation)?;
        answer(out, &found, &wanted, "would go");
        return Ok(Exit::Ok);
    }
    let path = source.store().to_path_buf();
    let _alone = if args.compact { Some(alone(&path)?) } else { None };
    // An older store is brought up to date first, as `serve` would.
    drop(Database::open(&path).map_err(Stop::failed)?);
    let actor = Actor::trusted(args.actor.clone().unwrap_or_else(|| "command-line".to_owned()), Role::Admin);
    let mut said = std::time::Instant::now();
    let mut on_turn = |sum: &Pruned| {
        if said.elapsed() >= Duration::from_secs(2) {
            said = std::time::Instant::now();
            out.say(format_args!("{} exchanges and {} bodies are gone so far", sum.exchanges, sum.bodies));
        }
    };
    let gone = operations::retention::prune(&path, (&actor, &args.reason), &wanted, &mut on_turn).map_err(operation)?;
    if args.compact {
        drop(database);
        Pruner::open(&path).and_then(|pruner| pruner.compact()).map_err(Stop::failed)?;
    }
    answer(out, &gone, &wanted, "gone");
    Ok(Exit::Ok)
}

/// The bounds of the config's `record.retention` hold here too.
fn are_old_enough(args: &Prune) -> Result<(), Stop> {
    for (option, age) in [("--bodies", args.bodies), ("--rows", args.rows)] {
        if age.is_some_and(|age| age < retention::SAFE_AGE) && !args.young && !args.dry_run {
            let stop = Stop::usage(anyhow!("`{option}`: what is not an hour old does not go"));
            return Err(stop.hint(
                "requests under way and their copies need it; write at least `1h` (`m` is minutes), or add `--young`",
            ));
        }
    }
    if let (Some(bodies), Some(rows)) = (args.bodies, args.rows)
        && rows < bodies
    {
        let stop = Stop::usage(anyhow!("`--rows` is less than `--bodies`, and exchanges go with their bodies"));
        return Err(stop.hint("write at least what `--bodies` has"));
    }
    Ok(())
}

fn alone(store: &std::path::Path) -> Result<Lease, Stop> {
    Lease::acquire(store).map_err(|error| {
        Stop::failed(error).hint("stop the gateway first, or leave `--compact` out: free room is used again anyway")
    })
}

fn answer(out: &Out, pruned: &Pruned, wanted: &Wanted, words: &str) {
    let rollouts: Vec<&str> = wanted.kept.iter().map(|kept| kept.rollout.as_str()).collect();
    let facts = json!({
        "bodies_before_us": wanted.bodies_before_us, "rows_before_us": wanted.rows_before_us,
        "exchanges": pruned.exchanges, "bodies": pruned.bodies, "body_bytes": pruned.body_bytes, "counted": pruned.counted,
        "kept": pruned.kept, "kept_for": wanted.kept,
    });
    out.answer(&facts, || {
        let before = |before: Option<u64>| before.map_or_else(|| "never".to_owned(), us_to_text);
        let mut page = format!(
            "bodies before     {}\nexchanges before  {}\n{words}: {} exchanges, {} bodies of {}, {} rows of what evidence counted\n",
            before(wanted.bodies_before_us),
            before(wanted.rows_before_us),
            pruned.exchanges,
            pruned.bodies,
            bytes(pruned.body_bytes),
            pruned.counted,
        );
        if pruned.kept > 0 {
            let whose = if rollouts.is_empty() { "what waits for people".to_owned() } else { rollouts.join(", ") };
            page += &format!("stays whatever its age: {} exchanges ({whose})\n", pruned.kept);
        }
        page
    });
}

fn show(status: &RecordStatus) -> String {
    let since = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), us_to_text);
    format!(
        "in use            {}\nfree in the file  {}\noldest exchange   {}\noldest bodies     {}\n",
        bytes(status.size.used),
        bytes(status.size.free),
        since(status.oldest_exchange_us),
        since(status.oldest_bodies_us),
    )
}

/// `1.5 GiB`, as the config writes sizes.
fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut tenths, mut unit) = (n, 0, 0);
    while whole >= 1024 && unit + 1 < units.len() {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    if unit == 0 { format!("{whole} B") } else { format!("{whole}.{tenths} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_the_config_writes_them() {
        for (n, text) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (3 << 50, "3072.0 TiB")]
        {
            assert_eq!(bytes(n), text);
        }
    }
}
