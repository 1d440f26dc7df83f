//! The parts of the config about this process: listeners, store, record, limits, drain.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use gateway::retention::Settings;
use gateway::shadow::{Overload, ShadowLimits};
use gateway::snapshot::{Auth, Drain, FeedbackRules, Keeping, Limits};

use super::allowances;
use super::reader::{Item, Section};
use super::{Admin, Record, value};

const ADDRESS: &str = "an address such as `127.0.0.1:4000` or `[::]:4000`";

/// `auth`.
pub(crate) fn auth(root: &Section<'_>) -> Auth {
    let section = root.section("auth");
    let required = section.get("required").and_then(|item| item.boolean()).unwrap_or(false);
    let key_limits = allowances::limits(&section, "key_limits");
    section.finish();
    Auth { required, key_limits }
}

/// `listen`. Beyond loopback callers are asked for keys, or it is said that they are not.
pub(crate) fn listen(root: &Section<'_>, may_leave_loopback: bool) -> SocketAddr {
    let item = root.get("listen");
    let listen = item.as_ref().and_then(|item| item.parsed(ADDRESS, value::address));
    if let (Some(item), Some(listen)) = (item, listen)
        && !listen.ip().is_loopback()
        && !may_leave_loopback
    {
        let hint = "write `auth: { required: true }` and make keys with `crossfade keys create`, or listen on 127.0.0.1; \
                    `allow_unauthenticated: true` is for a place where something else asks for keys";
        item.note(format!("{listen} can be reached from other machines and asks nobody for a key"), Some(hint.into()));
    }
    listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 4000)))
}

/// `admin`. Beyond loopback it needs a token, or keys. `taken` is the address callers come in by.
pub(crate) fn admin(root: &Section<'_>, keys_required: bool, taken: Option<SocketAddr>) -> Admin {
    let section = root.section("admin");
    let item = section.get("listen");
    let listen = item.as_ref().and_then(|item| item.parsed(ADDRESS, value::address));
    if let (Some(item), Some(listen)) = (&item, listen)
        && Some(listen) == taken
        && listen.port() != 0
    {
        item.note(
            format!("{listen} is `listen` already, where callers come in"),
            Some("give it a port of its own".into()),
        );
    }
    let written = section.get("token");
    let token = written.as_ref().and_then(Item::secret);
    if let (Some(item), Some(listen), None) = (item, listen, written)
        && !listen.ip().is_loopback()
        && !keys_required
    {
        let hint = "write `auth: { required: true }` and make a key with a role, add `token: ${CROSSFADE_ADMIN_TOKEN}` next to it, or listen on 127.0.0.1";
        item.note(format!("{listen} can be reached from other machines and has no `admin.token`"), Some(hint.into()));
    }
    section.finish();
    Admin { listen: listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 4001))), token }
}

/// `store: sqlite:PATH`.
pub(crate) fn store(root: &Section<'_>) -> PathBuf {
    let default = root.beside("crossfade.db");
    let Some(item) = root.get("store") else { return default };
    let Some(store) = item.string() else { return default };
    match store.value.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => item.beside(path.trim_start_matches("//")),
        Some(("postgres" | "postgresql", _)) => {
            item.note("this version stores in SQLite only", Some("write `store: sqlite:./crossfade.db`".into()));
            default
        }
        _ => {
            item.note("expected `sqlite:PATH`", Some("write `store: sqlite:./crossfade.db`".into()));
            default
        }
    }
}

/// `record`.
pub(crate) fn record(root: &Section<'_>) -> Record {
    let section = root.section("record");
    let modes =
        [("durable", store::Mode::Durable), ("strict", store::Mode::Strict), ("best_effort", store::Mode::BestEffort)];
    let defaults = store::Config::default();
    let size = |key| section.get(key).and_then(|item| item.size()).map(|bytes| bytes as u64);
    let record = Record {
        mode: section.get("mode").and_then(|item| item.word(&modes)).unwrap_or_default(),
        dir: section.get("dir").and_then(|item| item.path()).unwrap_or_else(|| root.beside("crossfade-journal")),
        segment_bytes: size("segment_size").unwrap_or(defaults.segment_bytes),
        max_spool_bytes: size("max_spool").unwrap_or(defaults.max_spool_bytes),
        replay: match section.get("replay") {
            Some(item) if item.is_boolean() == Some(false) => None,
            Some(item) => item.duration(),
            None => Keeping::default().replay,
        },
        retention: retention(&section),
    };
    section.finish();
    record
}

/// `record.retention`: what goes from the database, and when. Nothing, unless it is said.
fn retention(record: &Section<'_>) -> Settings {
    const SMALLEST: u64 = 64 << 20;
    let section = record.section("retention");
    let age = |key| {
        let item = section.get(key)?;
        let age = item.age()?;
        if age < gateway::retention::SAFE_AGE {
            item.note("what is not an hour old does not go: requests under way and their copies need it", None);
        }
        Some((item, age))
    };
    let (bodies, rows) = (age("bodies"), age("rows"));
    if let (Some((_, bodies)), Some((item, rows))) = (&bodies, &rows)
        && rows < bodies
    {
        item.note(
            "exchanges go with their bodies, so that they cannot go before them",
            Some("write at least what `bodies` has".into()),
        );
    }
    let max_size = section.get("max_size").and_then(|item| {
        let size = item.size()? as u64;
        if size < SMALLEST {
            item.note("a database of less than 64MiB holds nothing worth keeping", None);
        }
        Some(size)
    });
    section.finish();
    Settings { bodies: bodies.map(|(_, age)| age), rows: rows.map(|(_, age)| age), max_size }
}

/// `workers: auto` or a number.
pub(crate) fn workers(root: &Section<'_>) -> Option<NonZeroUsize> {
    let expected = "`auto` or a number of threads from 1 to 1024";
    let read = |text: &str| match text {
        "auto" => Some(None),
        _ => text.parse().ok().and_then(NonZeroUsize::new).filter(|n| n.get() <= 1024).map(Some),
    };
    root.get("workers").and_then(|item| item.parsed(expected, read)).flatten()
}

/// `limits`.
pub(crate) fn limits(root: &Section<'_>) -> Limits {
    let section = root.section("limits");
    let defaults = Limits::default();
    let size = |key| section.get(key).and_then(|item| item.size());
    let duration = |key| section.get(key).and_then(|item| item.duration());
    let count = |key| section.get(key).and_then(|item| item.count(1, 1 << 20)).and_then(|n| usize::try_from(n).ok());
    let limits = Limits {
        max_body: size("max_body").unwrap_or(defaults.max_body),
        max_bodies: size("max_bodies").unwrap_or(defaults.max_bodies),
        max_connections: count("max_connections").unwrap_or(defaults.max_connections),
        header_timeout: duration("header_timeout").unwrap_or(defaults.header_timeout),
        body_timeout: duration("body_timeout").unwrap_or(defaults.body_timeout),
        write_timeout: duration("write_timeout").unwrap_or(defaults.write_timeout),
        hold_bytes: size("hold_bytes").unwrap_or(defaults.hold_bytes),
        max_recorded_answer: size("max_recorded_answer").unwrap_or(defaults.max_recorded_answer),
        assumed_answer_tokens: section
            .get("assumed_answer_tokens")
            .and_then(|item| item.count(1, 1_000_000_000))
            .unwrap_or(defaults.assumed_answer_tokens),
    };
    section.finish();
    limits
}

/// `responses`.
pub(crate) fn keeping(root: &Section<'_>, record: &Record) -> Keeping {
    let section = root.section("responses");
    let defaults = Keeping::default();
    let keeping = Keeping {
        keep: section.get("keep").and_then(|item| item.boolean()).unwrap_or(defaults.keep),
        memory: section.get("memory").and_then(|item| item.size()).unwrap_or(defaults.memory),
        replay: record.replay,
    };
    section.finish();
    keeping
}

/// `drain`.
pub(crate) fn drain(root: &Section<'_>) -> Drain {
    let section = root.section("drain");
    let defaults = Drain::default();
    let duration = |key| section.get(key).and_then(|item| item.duration());
    let drain = Drain {
        pre_stop: duration("pre_stop").unwrap_or(defaults.pre_stop),
        deadline: duration("deadline").unwrap_or(defaults.deadline),
    };
    section.finish();
    drain
}

/// `feedback`.
pub(crate) fn feedback(root: &Section<'_>) -> FeedbackRules {
    let section = root.section("feedback");
    let defaults = FeedbackRules::default();
    let labels = section.get("bad_labels").and_then(|item| item.list("labels such as `[wrong, unsafe]`"));
    let rules = FeedbackRules {
        bad_below: section
            .get("bad_below")
            .and_then(|item| item.share())
            .map_or(defaults.bad_below, |share| share.value),
        bad_labels: labels.unwrap_or_default().iter().filter_map(Item::string).map(|label| label.value).collect(),
    };
    section.finish();
    rules
}

/// `shadow`: what the copies of all rollouts together may hold, and when the machine has nothing left for them.
pub(crate) fn shadow(root: &Section<'_>) -> ShadowLimits {
    let section = root.section("shadow");
    let default = ShadowLimits::default();
    let overload = match section.get("overload") {
        Some(item) if item.is_boolean() == Some(false) => None,
        None => Some(Overload::default()),
        Some(item) => item.section().map(|section| {
            let default = Overload::default();
            let overload = Overload {
                lag: section.get("lag").and_then(|item| item.duration()).unwrap_or(default.lag),
                cpu: section.get("cpu").and_then(|item| item.share()).map_or(default.cpu, |share| share.value),
            };
            section.finish();
            overload
        }),
    };
    let limits = ShadowLimits {
        max_bytes: section.get("max_bytes").and_then(|item| item.size()).unwrap_or(default.max_bytes),
        max_in_flight: section
            .get("max_in_flight")
            .and_then(|item| item.count(1, 1 << 20))
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(default.max_in_flight),
        max_answer: section.get("max_answer").and_then(|item| item.size()).unwrap_or(default.max_answer),
        overload,
        ..default
    };
    section.finish();
    limits
}
