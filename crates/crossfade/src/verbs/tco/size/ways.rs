//! Ways to run a fleet, beside each other: of one size, by the hour of the week, following the load; each with what happens to it.

use cost::capacity::fleet::{Autoscaler, Fleet, Played, Retries, Size, Vendor, play};
use cost::capacity::week::{HOURS, Week, hour_of_week};
use cost::capacity::{End, Machine, Objective, Router, percentile};
use serde_json::{Value, json};

use super::from::Requests;
use super::{Args, Turn, positive};
use crate::out::{Stop, table};
use crate::verbs::Place;
use crate::verbs::dataset::readable;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const HOUR_S: f64 = 3_600.0;

/// What happens to a fleet. With any of these, or with `--week`, the ways to run it are compared.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "What happens to the fleet")]
pub(super) struct Events {
    /// Seconds from the start of a replica until it is usable.
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = not_negative)]
    cold_start_s: f64,
    /// The same, from a benchmark in the store: the mean time to the first token of its cold starts.
    #[arg(long, value_name = "RUN", conflicts_with = "cold_start_s")]
    cold_start: Option<String>,
    /// A replica fails every so many hours on average, at random; what it worked on is tried again as far as `--retries` goes.
    #[arg(long, value_name = "H", value_parser = positive)]
    fails_every_h: Option<f64>,
    /// How often a request is tried again.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=10))]
    retries: u32,
    /// The share of answers that are wrong and asked for again; a record has its retries already.
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    wrong: Option<f64>,
    /// Seconds in line after which a request goes to the vendor, as does what nobody tries again.
    #[arg(long, value_name = "S", value_parser = not_negative)]
    vendor_after_s: Option<f64>,
    /// Milliseconds the vendor takes to the first token, and to the end.
    #[arg(long, value_name = "MS,MS", default_value = "500,5000", value_parser = vendor_ms)]
    vendor_ms: (f64, f64),
    /// Replicas follow the load: each is to have so many requests at work or in line.
    #[arg(long, value_name = "N", value_parser = positive)]
    autoscale: Option<f64>,
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    number.ok_or_else(|| "expected a number of at least 0".to_owned())
}

fn vendor_ms(text: &str) -> Result<(f64, f64), String> {
    let read = || text.split_once(',').and_then(|(a, b)| Some((positive(a.trim()).ok()?, positive(b.trim()).ok()?)));
    read().filter(|(first, done)| first <= done).ok_or_else(|| "expected two times, such as `500,5000`".to_owned())
}

impl Events {
    /// Takes how long a start takes from the store, where that is asked.
    pub(super) fn measured_start(&mut self, place: &Place) -> Result<(), Stop> {
        if let Some(name) = &self.cold_start {
            let ms = operations::tco::cold_start_ms(&readable(place)?, name).map_err(Stop::usage)?;
            self.cold_start_s = ms / 1000.0;
        }
        Ok(())
    }

    fn is_any(&self) -> bool {
        self.cold_start_s > 0.0
            || self.fails_every_h.is_some()
            || self.wrong.is_some()
            || self.vendor_after_s.is_some()
            || self.autoscale.is_some()
    }
}

/// One way to run it.
pub(super) struct Way {
    name: &'static str,
    /// Mean replicas that are paid for.
    paid: f64,
    played: Played,
}

impl Way {
    pub(super) fn fact(&self, objective: Objective, share: f64) -> Value {
        let ms = |of| percentile(&self.played.served, share, of).filter(|s| s.is_finite()).map(|s| s * 1000.0);
        let n = self.played.served.len().max(1) as f64;
        json!({ "way": self.name, "replicas_paid": self.paid, "most": self.played.most, "kept_by": objective.kept(&self.played.served),
            "first_ms": ms(|served| served.first_s), "done_ms": ms(|served| served.done_s),
            "at_vendor": self.played.ended(End::AtVendor) as f64 / n, "lost": self.played.ended(End::Lost) as f64 / n,
            "cold_starts": self.played.cold_starts, "failures": self.played.failures, "retries": self.played.retries })
    }
}

/// Plays every way that is asked for; none where nothing happens to the fleet.
pub(super) fn compare(
    args: &Args,
    asked: &Requests,
    (machine, played, week): (&Machine, Option<usize>, Option<&Week>),
) -> Vec<Way> {
    let events = &args.events;
    if week.is_none() && !events.is_any() {
        return Vec::new();
    }
    let with = |size: Size| Fleet {
        router: match args.router {
            Turn::RoundRobin => Router::RoundRobin,
            Turn::LeastOutstanding => Router::LeastOutstanding,
        },
        size,
        cold_start_s: events.cold_start_s,
        fails_every_s: events.fails_every_h.map(|hours| hours * HOUR_S),
        retries: (events.fails_every_h.is_some() || events.wrong.is_some()).then(|| Retries {
            wrong: events.wrong.unwrap_or(0.0),
            most: events.retries,
            after_s: 0.0,
        }),
        vendor: events.vendor_after_s.map(|patience_s| Vendor {
            patience_s,
            first_s: events.vendor_ms.0 / 1000.0,
            done_s: events.vendor_ms.1 / 1000.0,
        }),
        seed: args.seed,
    };
    let span_s = asked.arrivals.last().map_or(1.0, |last| last.at_s.max(1.0));
    let peak = week.map_or_else(|| played.map(|n| n + args.spare as usize), Week::peak);
    let mut ways = Vec::new();
    let mut add = |name, size: Size, paid: Option<f64>| {
        let played = play(&asked.arrivals, machine, &with(size));
        let paid = paid.unwrap_or(played.replica_s / span_s);
        ways.push(Way { name, paid, played });
    };
    if let Some(peak) = peak {
        add("one size", Size::Constant(peak), Some(peak as f64));
    }
    if let Some(plan) = week.and_then(|week| schedule(week, asked.epoch_s, span_s)) {
        add("by the hour", Size::Scheduled(plan), week.and_then(|week| week.paid(events.cold_start_s)));
    }
    if let Some(outstanding) = events.autoscale {
        let (least, most) = (1 + args.spare as usize, args.most as usize);
        let scaler = Autoscaler { least, most: most.max(least), outstanding, every_s: 15.0, down_after_s: 300.0 };
        add("by the load", Size::Automatic(scaler), None);
    }
    ways
}

/// Replicas from each hour of the record on.
fn schedule(week: &Week, epoch_s: f64, span_s: f64) -> Option<Vec<(f64, usize)>> {
    let replicas = week.filled()?;
    let mut plan = Vec::new();
    let mut at_s = (epoch_s / HOUR_S).floor() * HOUR_S - epoch_s;
    while at_s <= span_s {
        plan.push((at_s, replicas[hour_of_week(at_s + epoch_s + HOUR_S / 2.0)]));
        at_s += HOUR_S;
    }
    Some(plan)
}

/// The hours of the week for programs; `tco init --size` reads them.
pub(super) fn hours(week: &Week, args: &Args) -> Value {
    let hour = |(idx, hour): (usize, &cost::capacity::week::Hour)| json!({ "hour": idx, "day": DAYS[idx / 24 % 7], "at": idx % 24, "recorded": hour.recorded, "requests": hour.requests, "replicas": hour.replicas });
    json!({ "from": "Monday 00:00 UTC", "replicas": week.filled(), "recorded": week.n_recorded(), "cold_start_s": args.events.cold_start_s,
        "mean_paid": week.paid(args.events.cold_start_s), "peak": week.peak(), "headroom": args.headroom, "spare": args.spare,
        "each": week.0.iter().enumerate().map(hour).collect::<Vec<_>>() })
}

/// A line a day: replicas of each hour, `-` where none is on record.
pub(super) fn table_of_hours(week: &Week) -> String {
    let cell = |idx: usize| match week.0.get(idx) {
        Some(hour) if hour.is_beyond => "!".to_owned(),
        Some(hour) => hour.replicas.map_or_else(|| "-".to_owned(), |n| n.to_string()),
        None => String::new(),
    };
    let row = |day: usize| {
        let hours = (0..24).map(|at| cell(day * 24 + at));
        std::iter::once(DAYS[day % 7].to_owned()).chain(hours).collect::<Vec<String>>()
    };
    let heads: Vec<String> = std::iter::once("UTC".to_owned()).chain((0..24).map(|at| format!("{at:02}"))).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    table(&heads, &(0..HOURS / 24).map(row).collect::<Vec<_>>())
}

pub(super) fn table_of_ways(ways: &[Way], objective: Objective, share: f64) -> String {
    let row = |way: &Way| {
        let ms = |of| match percentile(&way.played.served, share, of) {
            Some(seconds) if seconds.is_finite() => format!("{:.0}", seconds * 1000.0),
            _ => "never".to_owned(),
        };
        let n = way.played.served.len().max(1) as f64;
        let part = |end| format!("{:.2} %", way.played.ended(end) as f64 / n * 100.0);
        vec![
            way.name.to_owned(),
            format!("{:.2}", way.paid),
            way.played.most.to_string(),
            format!("{:.1} %", objective.kept(&way.played.served) * 100.0),
            ms(|served| served.first_s),
            ms(|served| served.done_s),
            part(End::AtVendor),
            part(End::Lost),
            way.played.failures.to_string(),
        ]
    };
    let p = share * 100.0;
    let (first, done) = (format!("first ms, p{p}"), format!("end ms, p{p}"));
    let heads =
        ["way to run it", "replicas paid", "most", "kept by", &first, &done, "at the vendor", "lost", "failures"];
    table(&heads, &ways.iter().map(row).collect::<Vec<_>>())
}
