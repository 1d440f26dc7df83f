//! `crossfade inventory --traffic`: what the gateway recorded, beside what the code says.

mod page;

use std::collections::BTreeMap;

use inventory::matrix::{self, Used};
use inventory::scan::Finding;
use inventory::traffic::{Gathering, Request, Row, Served, Use, Week, Who, html, join, render};
use providers::Class;
use serde_json::{Value, json};
use store::{Database, RequestRow};

use crate::load;
use crate::out::Stop;
use crate::verbs::Place;
use crate::verbs::time::{ago, us_to_text};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    #[command(flatten)]
    pub(super) record: Record,
    /// Show the hours of the week of every operation and model, not only of all together.
    #[arg(long, requires = "traffic")]
    hours: bool,
}

/// Which of the record is read.
#[derive(Debug, clap::Args)]
pub(super) struct Record {
    /// Lay what the gateway recorded beside the code: what was seen in both, in code only or in traffic only.
    #[arg(long)]
    pub(super) traffic: bool,
    /// Recorded requests since so long ago.
    #[arg(long, value_name = "AGE", default_value = "30d", requires = "traffic")]
    since: String,
    /// How many of the recorded bodies are read, about, to see what requests ask for.
    #[arg(long, value_name = "N", default_value_t = 20_000, requires = "traffic")]
    bodies: u64,
}

/// What was recorded, added up.
pub(super) struct Recorded {
    since_us: u64,
    gathering: Gathering,
    uses: Vec<Use>,
    week: Option<Week>,
    simulated: bool,
    /// How many bodies were to be read at most.
    bodies: u64,
}

/// Reads the record. A config without a store, or an empty record, is an error with the next step.
pub(super) fn read(place: &Place, args: &Record) -> Result<Recorded, Stop> {
    let since_us = ago(&args.since).map_err(|words| Stop::usage(format!("`--since {}`: {words}", args.since)))?;
    let path = load::places(&place.config)?.store;
    if !path.exists() {
        let stop = Stop::failed(anyhow::anyhow!("there is no record {} yet", path.display()));
        return Err(stop.hint("`crossfade serve` makes it when applications call the gateway; without `--traffic` code alone is looked through"));
    }
    let database = Database::open_read_only(path).map_err(Stop::failed)?;
    let mut gathering = Gathering::new();
    database.each_request(since_us, args.bodies, |row| gathering.add(&request(row))).map_err(Stop::failed)?;
    let uses = gathering.uses(&who(place, &database)?);
    let simulated = uses.iter().flat_map(|of| &of.models).any(|asked| asked.simulated);
    Ok(Recorded { since_us, week: gathering.week(), gathering, uses, simulated, bodies: args.bodies })
}

fn request<'r>(row: &RequestRow<'r>) -> Request<'r> {
    Request {
        at_us: row.received_at_us,
        endpoint: row.endpoint,
        route: row.route,
        caller: row.principal,
        streamed: row.streamed,
        is_retry: row.is_retry,
        outcome: row.outcome,
        first_token_us: row.time_to_first_token_us,
        duration_us: row.duration_us,
        tokens: row.tokens,
        served: row.served.map(|(provider, model, simulated)| Served { provider, model, simulated }),
        body: row.body,
    }
}

/// The addresses of providers, where the config can be read, and the names of keys.
fn who(place: &Place, database: &Database) -> Result<Who, Stop> {
    let config = load::names(&place.config);
    let targets = config.iter().flat_map(|config| config.snapshot.targets.values());
    let providers = targets.map(|target| (target.provider.name.clone(), target.provider.base_url.to_string()));
    let (_, keys) = database.keys().map_err(Stop::failed)?;
    let tenant = |spec: &str| {
        let spec = serde_json::from_str::<Value>(spec).ok()?;
        spec["tenant"].as_str().map(str::to_owned)
    };
    let keys = keys.into_iter().map(|row| (row.id, (row.name, tenant(&row.spec_json))));
    let targets = config.iter().flat_map(|config| config.snapshot.targets.values());
    let own = targets.filter(|target| target.provider.class == Class::SelfHosted);
    let own = own.map(|target| target.provider.name.clone()).collect();
    Ok(Who { providers: providers.collect(), own, keys: keys.collect::<BTreeMap<_, _>>() })
}

impl Recorded {
    /// The rows of both inventories.
    pub(super) fn rows<'a>(&'a self, findings: &'a [Finding]) -> Vec<Row<'a>> {
        join(findings, &self.uses)
    }

    /// What of it the replacement matrix takes.
    pub(super) fn used(&self) -> Vec<Used> {
        Used::recorded(&self.uses)
    }

    /// What the replacement matrix says of it.
    pub(super) fn summary(&self) -> matrix::Recorded {
        let answered: u64 = self.uses.iter().flat_map(|of| &of.needed).map(|needed| needed.requests).sum();
        let day = |at_us: u64| us_to_text(at_us)[..10].to_owned();
        matrix::Recorded {
            requests: self.gathering.n(),
            unanswered: self.gathering.n().saturating_sub(answered),
            bodies_read: self.uses.iter().map(|of| of.bodies_read).sum(),
            simulated: self.simulated,
            days: self.gathering.between_us().map(|(first, last)| (day(first), day(last))),
        }
    }

    /// As JSON.
    pub(super) fn facts(&self, rows: &[Row<'_>]) -> Value {
        let read: u64 = self.uses.iter().map(|of| of.bodies_read).sum();
        json!({
            "since_us": self.since_us, "between_us": self.gathering.between_us(), "requests": self.gathering.n(),
            "not_kept_apart": self.gathering.beyond(), "bodies_read": read, "bodies_at_most": self.bodies, "simulated": self.simulated,
            "week": self.week, "uses": self.uses, "joined": render::facts(rows, &self.uses),
        })
    }

    /// As CSV.
    pub(super) fn csv(&self, rows: &[Row<'_>]) -> String {
        render::csv(rows)
    }

    /// As a page.
    pub(super) fn html(&self, rows: &[Row<'_>], names: &[String], now: &str) -> String {
        let words = self.words(rows);
        html::html(rows, &self.uses, self.week.as_ref(), html::About { names, words: &words, now })
    }

    /// As tables.
    pub(super) fn page(&self, rows: &[Row<'_>], args: &Flags) -> String {
        page::text(rows, &self.uses, self.week.as_ref(), args.hours)
    }

    /// What is said on stderr in the end.
    pub(super) fn words(&self, rows: &[Row<'_>]) -> Vec<String> {
        let mut words = vec![page::counted(rows)];
        match self.gathering.between_us() {
            None => words.push(format!("no request is on record since {}", us_to_text(self.since_us))),
            Some((first, last)) => words.push(format!(
                "{} requests on record from {} to {} UTC",
                self.gathering.n(),
                us_to_text(first),
                us_to_text(last)
            )),
        }
        let read: u64 = self.uses.iter().map(|of| of.bodies_read).sum();
        if read < self.gathering.n() {
            words.push(format!(
                "what requests ask for is read of {read} bodies: the others are not on record, no JSON, or beyond `--bodies {}`",
                self.bodies
            ));
        }
        if self.gathering.beyond() > 0 {
            words.push(format!("{} requests under further names are not kept apart", self.gathering.beyond()));
        }
        if self.simulated {
            words.push("some of these answers are made up by the simulated provider".to_owned());
        }
        words
    }
}
